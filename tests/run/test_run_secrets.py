"""No secret that the host knows is printed, stored or sent, whoever repeats it."""

from model_server import Fault
from playing import Home, call, outputs, playing, turns, words

KEY = "sk-canary-0123456789"
TOKEN = 'tok"canary\\é-987'


def test_a_secret_that_a_tool_repeats_goes_nowhere(tmp_path):
    home = Home(tmp_path)
    server = home.server(env='SHOP_TOKEN = "${SHOP_TOKEN}"')
    with playing(tmp_path, server) as home:
        home.env |= {"SHOP_TOKEN": TOKEN, "MY_API_KEY": KEY}
        home.write(server, key="${MY_API_KEY}")
        done = home.run(
            "run", "-v", "--output-format", "stream-json",
            turns([call("s__mine"), call("s__moving"), call("s__big", size=40_000, needle=f" {TOKEN} {KEY} ")], "done"),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (mine, _, _) = (words(output) for output in outputs(home.model.requests[1]).values())
        assert "⟦secret:SHOP_TOKEN⟧" in mine
        assert '"of":"progress"' in done.stdout
        assert home.model.headers[0]["authorization"] == f"Bearer {KEY}"
        home.model.faults.append(Fault(status=401, body=f'{{"error":{{"message":"bad key {KEY}"}}}}'.encode()))
        refused = home.run("run", "-v", turns(f"say {TOKEN}"))
        assert refused.returncode == 4
        everything = [done.stdout, done.stderr, refused.stdout, refused.stderr, str(home.model.requests)]
        everything += [path.read_bytes().decode("utf-8", "replace") for path in home.state.rglob("*") if path.is_file()]
    for form in (KEY, "canary", "987"):
        assert not [text[max(0, text.find(form) - 80) :][:200] for text in everything if form in text]
