"""The errors a caller can meet. A tool's failure is never one of them: it is a result.

HostError
├─ ConfigError     a file, flag, value or missing consent: exit 3
├─ ProviderError   the model could not be asked or did not finish: exit 4 or 7
├─ StoreError      a log could not be written, read or trusted
└─ SessionError    a fault of ours ended one session, and no other: exit 1
"""


class HostError(Exception):
    """Whatever stops a turn or a start; its text names the place and the remedy."""


class ConfigError(HostError):
    """Something the user wrote, or did not consent to, keeps us from starting; a line for each thing."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class ProviderError(HostError):
    """The model's side failed.

    `retryable` says whether the same request may succeed later, `auth` whether the key was
    refused, `unavailable` whether this model cannot be had at all while another may,
    `retry_after` (seconds) what the provider asked for.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        auth: bool = False,
        unavailable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.auth = auth
        self.unavailable = unavailable
        self.retry_after = retry_after


class StoreError(HostError):
    """A session's log cannot be appended to, read, or owned."""


class SessionError(HostError):
    """What nobody foresaw ended a session; its log holds all that happened until then. The cause is the fault."""
