"""A process that imports torch and transformers once, and forks a child for each piece of work it is sent.

A Python that starts anew takes seconds to import them; a fork takes 30 ms, and the child is a process of its own all
the same: it can be killed, hold locks and work beside others. `begin` starts that process, which imports at the first
request; `Warm` sends it work, and an executable `pairspace` does, that `Warm` writes for the PATH of a shell.

A request is a line of JSON (code, argv, cwd, env), with the child's three standard streams. Answered are the child's
number, and when it has ended its exit code, negative for a signal. A child whose asker goes away is killed.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, NamedTuple

CLI = "from pairspace.cli import main; main()"
LONGEST = 300  # seconds a child may take


class Ended(NamedTuple):
    """How a child ended, and what it printed."""

    code: int
    out: str
    err: str


class Child:
    """A piece of work that was begun.

    Attributes:
        pid: the number of its process.
    """

    def __init__(self, path: Path, request: dict[str, Any], streams: list[int]) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        socket.send_fds(self._socket, [b"\0"], streams)
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        self._answers = self._socket.makefile("r")
        self.pid = int(self._answers.readline())

    def wait(self) -> int:
        """The exit code, once it has ended."""
        with self._socket, self._answers:
            return int(self._answers.readline())


class Warm:
    """Sends work to the process that forks; `path` is its socket."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(
        self,
        code: str,
        *arguments: object,
        out: IO[str],
        err: IO[str] | None = None,
        cwd: Path | None = None,
        **env: str,
    ) -> Child:
        """Begin to run Python code in a child.

        Args:
            code: as for `python -c`.
            arguments: its sys.argv[1:].
            out, err: files or pipes that it prints to; errors go to our own if None.
            cwd: where it works; None for here.
            env: added to our own environment.
        """
        request = {"code": code, "argv": ["-c", *map(str, arguments)], "cwd": str(cwd or Path.cwd())}
        with Path(os.devnull).open() as nothing:
            streams = [one.fileno() for one in (nothing, out, err or sys.__stderr__)]
            return Child(self.path, request | {"env": os.environ | env}, streams)

    def run(self, code: str, *arguments: object, folder: Path, **options: Any) -> Ended:
        """Run Python code in a child to its end; what it prints is kept in files in `folder` meanwhile."""
        with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
            ended = self.start(code, *arguments, out=out, err=err, **options).wait()
        return Ended(ended, *((folder / name).read_text() for name in ("out", "err")))

    def write_command(self, folder: Path) -> None:
        """Write the executable `pairspace`."""
        command = folder / "pairspace"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{__file__}" pairspace "{self.path}" "$@"\n')
        command.chmod(0o755)


def begin(path: Path) -> subprocess.Popen:
    """Start the process that forks, listening at `path`; it ends when its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__, "serve", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        start_new_session=True,  # a Ctrl-C is for those who ask
    )
    process.stdout.readline()
    return process


def serve(path: str) -> dict[str, Any]:
    """Fork for each request, until standard input closes; comes back in the child alone, with the request."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        os.write(1, b"listening\n")
        forked: set[int] = set()
        while 0 not in select.select([0, listener], [], [])[0]:
            import_all()
            connection, _ = listener.accept()
            if (watching := os.fork()) == 0:
                return watch(connection)
            connection.close()
            forked = {one for one in forked | {watching} if os.waitpid(one, os.WNOHANG)[0] == 0}
    for one in forked:
        os.waitpid(one, 0)
    os._exit(0)


def import_all() -> None:
    """What a child would import, and what it would do once: find fonts, read verbs."""
    global IMPORTED
    if "pairspace.space" in sys.modules:
        return
    import pairspace.space

    IMPORTED = frozenset(sys.modules)  # by the package alone

    import gc

    import pandas  # noqa: F401 (by pyarrow, where it is installed)
    import transformers.models.bert.modeling_bert
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from typer.testing import CliRunner

    import pairspace.evaluation  # noqa: F401
    from pairspace.cli import app
    from pairspace.training import History

    _ = transformers.AutoConfig, transformers.AutoModel, transformers.AutoTokenizer
    CliRunner().invoke(app, ["info", os.devnull])
    FigureCanvasAgg(History([{"epoch": 0}]).figure()).draw()
    gc.collect()
    gc.freeze()  # or each child would copy every page on which it counts references


def watch(connection: socket.socket) -> dict[str, Any]:
    """Fork the child and tell of its end; comes back in the child alone."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("r") as lines:
        request = json.loads(lines.readline())
    ends, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    if (child := os.fork()) == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        for number in (*streams, ends, wake, connection.detach()):
            os.close(number)
        return request
    for stream in (0, 1, *streams):
        os.close(stream)
    connection.sendall(b"%d\n" % child)
    if ends not in select.select([ends, connection], [], [])[0]:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        connection.sendall(b"%d\n" % code)
    finally:
        os._exit(0)


def work(request: dict[str, Any]) -> None:
    """Do what was asked as a Python that just started would, and end."""
    import atexit
    import traceback

    import torch

    signal.alarm(LONGEST)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv[:], sys.path[0] = request["argv"], ""
    torch.set_num_threads(1)
    code = 0
    try:
        exec(compile(request["code"], "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    kind, where, *rest = sys.argv[1:]
    if kind == "serve":
        work(serve(where))
    else:
        asked = {"code": CLI, "argv": ["pairspace", *rest], "cwd": str(Path.cwd()), "env": dict(os.environ)}
        code = Child(Path(where), asked, [0, 1, 2]).wait()
        sys.exit(code if code >= 0 else 128 - code)
