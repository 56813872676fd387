"""Words that mean much the same in what people ask for and in what tools are called. General English, no domain.

A line is one meaning: words, and phrases in which `…` stands for a few words between. A word may have several.
"""

from __future__ import annotations

READS = """
show view see display read get fetch look check inspect print describe list browse open tell pull…up bring…up
find search look…up locate identify discover seek query lookup
list all every which overview
count many number amount much
measure sense sensor
"""

CHANGES = """
create add make new insert put leave record register write compose
delete remove erase drop forget discard clear trash get…rid…of throw…away
update change set modify edit adjust alter mark put rename correct move switch moved new from…now…on
cancel call…off abort revoke annul withdraw
send mail notify tell message reply answer respond inform
refund reimburse repay money…back pay…back give…back compensate
return send…back give…back bring…back go…back take…back
exchange swap replace trade substitute get…instead
escalate hand…over pass…on forward transfer hand…to go…to delegate
note comment remark memo annotation
start run launch begin execute activate play trigger
stop end halt finish terminate deactivate
pause suspend hold
resume continue reopen
switch turn toggle dim
open raise unblock
close shut lower draw
move shift drive transport
copy duplicate clone
lock secure bolt
unlock unbolt
buy order purchase
book reserve
pay settle
upload attach import
download export save
approve accept confirm allow
reject decline refuse deny
assign allocate give
invite share
subscribe follow
merge combine join
renew extend prolong
remind reminder
schedule plan appoint
enable activate
disable deactivate
rate review score
upgrade install
"""

THINGS = """
order purchase buy parcel package shipment delivery stuff things
ticket issue case request
article help guide document manual page
document file text
folder directory
picture image photo
person user people who member
customer client buyer shopper
mail email e-mail
address street postal moved live where things…sent
reason because why cause
message reply comment text
price cost fee charge total
product item good article thing
repository repo project
meeting event appointment
task todo
light lamp bulb
blind shutter curtain
temperature degree celsius heat warm hot cold cool heater warmer heating
humidity humid damp moist
electricity energy power current consumption
device appliance gadget thing
door gate entrance
weather forecast
euro eur dollar usd money price amount
percent brightness bright
day date when
time clock hour
team department colleague
loan borrow lend
branch location place
stock availability available inventory
phone telephone call
note memo
alarm warning alert
"""

IRREGULAR = {
    form: word
    for word, forms in {
        "buy": "bought", "send": "sent", "pay": "paid", "give": "gave given", "take": "took taken", "tell": "told",
        "write": "wrote written", "find": "found", "make": "made making", "get": "got gotten", "run": "ran running",
        "leave": "left leaving", "sell": "sold", "go": "went gone goes", "break": "broke broken", "put": "putting",
        "begin": "began begun", "show": "shown", "read": "reading", "hold": "held", "person": "people",
        "see": "saw seen", "draw": "drew drawn", "pull": "pulled pulling", "child": "children", "cut": "cutting",
        "hand": "handed handing",
    }.items()
    for form in forms.split()
}  # fmt: skip

COMMON = frozenset(
    """
    a an the my me i i'm i'd is am are was were be been it its of for to on in at by with and or do does did can could
    would will shall should your you please this that these those so just want need like us we our ours have has had
    hey hi hello thanks thank yes here there one some any as if then than from into about up out off over under again
    now right also too still yet ever he she they them their his her him let lets ok okay well oh us s d ll re ve t m
    good kindly whole i've not no don't what which where how who whom whose when why really actually maybe perhaps way
    anything something everything nothing
    """.split()  # noqa: SIM905 -- read as prose
)
