"""MosquittoBroker: a Mosquitto that the switch configures, starts, supervises and takes along when it dies."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import pwd
import re
import secrets
import select
import shutil
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from callcenter.model.ids import is_slug
from callcenter.publish import topics
from callcenter.publish.mqtt import BrokerAddress, BrokerError
from callcenter.publish.settings import MqttLogin, Role

OnState = Callable[[bool, str], None]

SWITCH = "switch"
MONITOR = "monitor"
# Debian puts the program where an ordinary user's PATH does not look.
PLACES = ("/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin")
# As root Mosquitto would drop to this user itself; nobody, when the package made none.
USERS = ("mosquitto", "nobody")
# Unacknowledged messages each way and client; half is for facts, the rest leaves pops alone.
RECEIVE_MAXIMUM = 100
STARTED_WITHIN = 5.0
STOPPED_WITHIN = 3.0
FIRST_RETRY = 0.5
LAST_RETRY = 30.0
# A broker that ran this long had started well: the next failure is met with the shortest wait again.
RAN_WELL = 30.0
# How often another port is taken when the chosen one is gone by the time the broker starts.
MAX_RACES = 5
IN_USE = "Address already in use"
OUTPUT_LINES = 20
OUTPUT_LINE = 300
ITERATIONS = 10_000
_HASH = re.compile(r"\$7\$[1-9][0-9]{0,6}\$[A-Za-z0-9+/=]{8,}\$[A-Za-z0-9+/=]{86,88}\Z")


def mosquitto_hash(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """A password as Mosquitto 2 keeps it: ``$7$`` PBKDF2-HMAC-SHA512."""
    salt = secrets.token_bytes(12) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, 64)
    return f"$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def find_program(path: str | None = None) -> str | None:
    """Where the program mosquitto is, also outside of PATH; None when it is not installed."""
    search = os.environ.get("PATH", os.defpath) if path is None else path
    return shutil.which("mosquitto", path=os.pathsep.join([search, *PLACES]))


class MosquittoBroker:
    """A broker of our own: a login for the switch, one for each agent, and monitors.

    It never stands in the way: when it is not installed or does not start, ``on_state(False, line)`` tells why, and
    it is tried again with growing pauses. ``folder`` becomes its own; ``port`` 0 takes a free one.
    """

    def __init__(
        self,
        folder: Path,
        logins: Iterable[MqttLogin],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        program: str | None = None,
        on_state: OnState | None = None,
    ) -> None:
        """Raises BrokerError for a login that cannot be."""
        self.folder = folder
        self.host = host
        self.port = port
        self.on_state = on_state
        self.detail = "not started"
        self.running = False
        self._wanted_port = port
        self._note = ""
        self._hashes: dict[str, str] = {}
        self._program = program
        self._logins = [login for login in logins if login.role is not Role.SWITCH]
        _check(self._logins)
        self._writing = asyncio.Lock()
        self._unread = False
        self._password = secrets.token_urlsafe(24)
        self._output: deque[str] = deque(maxlen=OUTPUT_LINES)
        self._process: asyncio.subprocess.Process | None = None
        self._closing = asyncio.Event()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<MosquittoBroker {self.host}:{self.port} {'running' if self.running else self.detail}>"

    @property
    def pid(self) -> int | None:
        """The broker's process, while there is one."""
        return self._process.pid if self._process is not None else None

    def address(self) -> BrokerAddress:
        """Where the switch itself logs in. The port is known after :meth:`start`."""
        return BrokerAddress(
            self.host, self.port, user=SWITCH, password=self._password, receive_maximum=RECEIVE_MAXIMUM
        )

    async def start(self) -> bool:
        """Start, and wait until connections are taken or the first attempt has failed; True when it runs.

        It is supervised from then on, in both cases.
        """
        assert self._task is None, "started twice"
        await asyncio.to_thread(_end_orphan, self.folder)
        self._choose_port()
        # Supervision outlives the calls' task group: the broker is the last to go, after the publisher's farewell.
        self._task = asyncio.get_running_loop().create_task(self._supervise(), name="broker")
        await self._tried.wait()
        return self.running

    async def set_logins(self, logins: Iterable[MqttLogin]) -> None:
        """Let these in from now on, and no others; who is connected and not among them is cut off.

        A broker that does not run takes them up when it starts. Raises BrokerError for a login that cannot be, and
        when the files cannot be written; then all stays as it was.
        """
        wanted = [login for login in logins if login.role is not Role.SWITCH]
        _check(wanted)
        async with self._writing:
            before = self._logins, self._hashes
            kept = {login.user: self._hashes[login.user] for login in self._logins if login.user in self._hashes
                    and login in wanted}  # fmt: skip
            switch = {SWITCH: self._hashes[SWITCH]} if SWITCH in self._hashes else {}
            self._logins, self._hashes = wanted, {**switch, **kept}
            process = self._process
            if process is None:
                return
            try:
                await asyncio.to_thread(self._write_files, _user() if os.geteuid() == 0 else None)
            except (OSError, BrokerError) as error:
                self._logins, self._hashes = before
                reason = error.strerror if isinstance(error, OSError) else str(error)
                raise BrokerError(f"the broker's folder {self.folder} cannot be used: {reason}") from error
            if self.running:
                self._read_again(process)
            else:
                self._unread = True  # Before it is a broker the signal would end it.

    async def close(self) -> None:
        """Stop the broker by its own process id, and wait until it is gone. May be called twice."""
        if self._task is None:
            return
        self._closing.set()
        await asyncio.wait({self._task})
        self._task = None

    def _read_again(self, process: asyncio.subprocess.Process) -> None:
        """Have it read its files again, and look at who is connected."""
        self._unread = False
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGHUP)

    def _choose_port(self) -> None:
        self.port, self._note = _choose_port(self.host, self._wanted_port)

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        retry = FIRST_RETRY
        races = 0
        while not self._closing.is_set():
            began = loop.time()
            try:
                await self._run()
            except BrokerError as error:
                if IN_USE in str(error) and not self._tried.is_set() and races < MAX_RACES:
                    races += 1  # Between our look and its start another program took the port.
                    self._choose_port()
                    continue
                self._tell(False, str(error))
            except OSError as error:
                self._tell(False, f"the broker's folder {self.folder} cannot be used: {error.strerror or error}")
            self._tried.set()
            if loop.time() - began > RAN_WELL:
                retry = FIRST_RETRY
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), retry)
            retry = min(retry * 2, LAST_RETRY)

    async def _run(self) -> None:
        """One life of the process. Raises BrokerError when it does not start, or ends by itself."""
        program = self._program or find_program()
        if program is None:
            raise BrokerError(
                "mosquitto is not installed: apt-get install mosquitto, or name a broker of your own in mqtt.url"
            )
        user = _user() if os.geteuid() == 0 else None
        uid, gid = (user.pw_uid, user.pw_gid) if user is not None else (0, 0)
        self._output.clear()
        # Until it is there: logins that change meanwhile would stand in no file and be told to nobody.
        async with self._writing:
            self._unread = False
            await asyncio.to_thread(self._write_files, user)
            self._process = process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), str(uid), str(gid)),
                *(program, "-c", "mosquitto.conf"),
                cwd=self.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                # Ctrl-C on the terminal is ours to answer: the broker goes last.
                start_new_session=True,
            )
        ended = asyncio.ensure_future(process.wait())
        reading = asyncio.ensure_future(self._read_output(process))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            _write(self.folder / "mosquitto.pid", f"{process.pid}\n", None)
            await self._accepts(ended)
            self._tell(True, self._note)
            if self._unread:
                self._read_again(process)
            self._tried.set()
            await asyncio.wait({ended, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not self._closing.is_set():
                await asyncio.wait({reading}, timeout=STOPPED_WITHIN)
                raise BrokerError(f"mosquitto ended: {self._last_words(ended.result())}")
        finally:
            closing.cancel()
            await _stop(process, ended)
            await asyncio.wait({reading}, timeout=STOPPED_WITHIN)
            reading.cancel()
            self._process = None
            self.running = False
            with contextlib.suppress(OSError):
                (self.folder / "mosquitto.pid").unlink()

    async def _accepts(self, ended: asyncio.Future[int]) -> None:
        """Until it takes connections. Raises BrokerError when it ends, or takes none in five seconds.

        That someone listens on the port is not enough, it may be another program: the broker says when it runs.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + STARTED_WITHIN
        listening = False
        while loop.time() < deadline and not self._closing.is_set():
            if any(line.endswith(" running") for line in self._output):
                with contextlib.suppress(OSError, TimeoutError):
                    _, writer = await asyncio.wait_for(asyncio.open_connection(self.host, self.port), STARTED_WITHIN)
                    writer.close()
                    listening = True
            if ended.done():
                raise BrokerError(f"mosquitto did not start: {self._last_words(ended.result())}")
            if listening:
                self._output.clear()
                return
            await asyncio.wait({ended}, timeout=0.01)
        if not self._closing.is_set():
            raise BrokerError(f"mosquitto took no connection on {self.host}:{self.port} within {STARTED_WITHIN:g} s")

    async def _read_output(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        rest = b""
        while chunk := await process.stdout.read(4096):
            *lines, rest = (rest + chunk).split(b"\n")
            self._output.extend(line.decode("utf-8", "replace")[:OUTPUT_LINE] for line in lines)
            rest = rest[:OUTPUT_LINE]
        if rest:
            self._output.append(rest.decode("utf-8", "replace"))

    def _last_words(self, status: int) -> str:
        said = [line.strip() for line in self._output if line.strip()]
        errors = [line for line in said if "error" in line.lower()] or said
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return f"{how}: {'; '.join(errors[-3:])}" if errors else how

    def _write_files(self, user: pwd.struct_passwd | None) -> None:
        """The folder stays ours and its files readable to the broker; only ``state`` is the broker's own."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = self.folder / "state"
        state.mkdir(mode=0o700, exist_ok=True)
        if user is not None:
            os.chown(self.folder, 0, user.pw_gid)
            os.chown(state, user.pw_uid, user.pw_gid, follow_symlinks=False)
        self.folder.chmod(0o700 if user is None else 0o750)
        gid = None if user is None else user.pw_gid
        _write(self.folder / "mosquitto.conf", _configuration(self.host, self.port), gid)
        _write(self.folder / "acl", _acl(self._logins), gid)
        _write(self.folder / "passwd", self._passwords(), gid)

    def _passwords(self) -> str:
        if SWITCH not in self._hashes:
            # Ours is chance enough to need no stretching.
            self._hashes[SWITCH] = mosquitto_hash(self._password, iterations=101)
        for login in self._logins:
            if login.user not in self._hashes:
                iterations = 101 if login.random else ITERATIONS
                self._hashes[login.user] = login.hash or mosquitto_hash(login.password, iterations=iterations)
        return "".join(f"{user}:{hashed}\n" for user, hashed in self._hashes.items())

    def _tell(self, running: bool, detail: str) -> None:
        changed = (running, detail) != (self.running, self.detail)
        self.running, self.detail = running, detail
        if changed and self.on_state is not None:
            self.on_state(running, detail)


# The child sets its own death signal just before it becomes the broker, for a change of user clears it: then a
# switch killed by -9 takes its broker along. It begins as root, because the interpreter may lie where only root reads.
_LAUNCH = """
import ctypes, os, signal, sys
parent, uid, gid, *command = sys.argv[1:]
if uid != "0":
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
os.umask(0o077)
if ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0) != 0:
    sys.exit("cannot set the death signal")
if os.getppid() == int(parent):
    os.execv(command[0], command)
"""


def _configuration(host: str, port: int) -> str:
    return f"""# Written by callcenter at each start; changes are lost. Paths are relative to this folder.
listener {port} {host}
allow_anonymous false
password_file passwd
acl_file acl
set_tcp_nodelay true
max_connections 1000
max_inflight_messages {RECEIVE_MAXIMUM}
max_packet_size 262144
# What waits for a client that is away, and for how long.
max_queued_messages 1000
max_queued_bytes 4194304
persistent_client_expiration 1d
memory_limit 268435456
persistence true
persistence_location state/
autosave_interval 60
sys_interval 0
log_dest stderr
log_type error
log_type warning
log_type information
log_timestamp false
connection_messages false
"""


def _acl(logins: Sequence[MqttLogin]) -> str:
    lines = [f"user {SWITCH}", f"topic readwrite {topics.EVERYTHING}"]
    for login in logins:
        lines += ["", f"user {login.user}"]
        reads, writes = _rights(login)
        lines += [f"topic read {topic}" for topic in reads]
        lines += [f"topic write {topic}" for topic in writes]
    return "\n".join(lines) + "\n"


def _rights(login: MqttLogin) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a login may read, and write."""
    match login.role:
        case Role.AGENT:
            return topics.agent_reads(login.user), topics.agent_writes(login.user)
        case Role.SUPERVISOR:
            return topics.supervisor_reads(login.user, login.sight), topics.supervisor_writes(login.user)
        case Role.ADMIN:
            return topics.admin_reads(login.user, login.sight), topics.supervisor_writes(login.user)
        case Role.CLIENT:
            return topics.client_reads(login.sight or topics.Sight(frozenset())), ()
        case Role.MONITOR:
            return topics.monitor_reads(), ()
        case Role.SWITCH:
            return (topics.EVERYTHING,), (topics.EVERYTHING,)


def _check(logins: Sequence[MqttLogin]) -> None:
    seen: set[str] = {SWITCH}
    for login in logins:
        if not is_slug(login.user):
            raise BrokerError(f"mqtt login {login.user!r}: lower-case letters, digits and single dashes only")
        if login.user in seen:
            raise BrokerError(f"mqtt login {login.user!r} is there twice, or the switch's own: take another name")
        if login.hash and not _HASH.match(login.hash):
            raise BrokerError(
                f"mqtt login {login.user!r}: not a Mosquitto hash ($7$...); make one by callcenter password"
            )
        if not login.hash and not login.password:
            raise BrokerError(f"mqtt login {login.user!r} has no password")
        seen.add(login.user)


def _user() -> pwd.struct_passwd:
    for name in USERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise BrokerError(f"mosquitto does not run as root, and there is no user {' or '.join(USERS)}")


def _write(path: Path, text: str, gid: int | None) -> None:
    """Replace a file as a whole; ``gid`` may read it."""
    temporary = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        if gid is not None:
            os.fchown(file.fileno(), 0, gid)
            os.fchmod(file.fileno(), 0o640)
        file.write(text)
    temporary.replace(path)


def _choose_port(host: str, wanted: int) -> tuple[int, str]:
    """The wanted port, or one of the nine behind it, or any; and what to tell when it is not the wanted one."""
    for port in range(wanted, wanted + 10) if wanted else ():
        if port <= 65535 and _is_free(host, port):
            return port, "" if port == wanted else f"port {wanted} is in use by another program: listening on {port}"
    note = f"port {wanted} is in use by another program" if wanted else ""
    with _listener(host) as listener:
        listener.bind((host, 0))
        port = listener.getsockname()[1]
        return port, note and f"{note}: listening on {port}"


def _is_free(host: str, port: int) -> bool:
    try:
        with _listener(host) as listener:
            listener.bind((host, port))
    except OSError:
        return False
    return True


def _listener(host: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    # As the broker does: an old connection's rest does not hold the port.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return listener


async def _stop(process: asyncio.subprocess.Process, ended: asyncio.Future[int]) -> None:
    if not ended.done():
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait({ended}, timeout=STOPPED_WITHIN)
    if not ended.done():
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.wait({ended})


def _end_orphan(folder: Path) -> None:
    """A broker of this folder that a killed switch left behind a moment ago still holds the port: wait for its end."""
    try:
        pid = int((folder / "mosquitto.pid").read_text())
        if Path(f"/proc/{pid}/cwd").resolve() != folder.resolve():
            return  # The number belongs to another process by now.
        handle = os.pidfd_open(pid)
    except (OSError, ValueError):
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], STOPPED_WITHIN)[0]:
                return
    except OSError:
        return
    finally:
        os.close(handle)
