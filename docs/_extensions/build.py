"""Build the site, unless it stands as it would be built: `make html`.

_build/site.json names all that the site was made from, and all that was made, with their hashes. It is
removed before anything is written, and written when everything is. So what a stopped build left has no such
file, and is not trusted: the next build writes all pages again. (The results of executed cells stay: each is
whole or missing.) The arguments are Sphinx's options.
"""

import gc
import os
import shutil
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from inputs import BUILD, ROOT, digest, digest_now, digests, environment, foundation, listing
from progress import clear
from records import read_record, write_record

RECORD = BUILD / "site.json"
MADE = [BUILD / "html", BUILD / "doctrees", BUILD / "jupyter_execute"]


def wait_for_others():
    """Return a file that is locked as long as this process, or one that it forked, lives."""
    file = open(BUILD / ".lock", "a")  # noqa: SIM115
    try:
        lock(file, wait=False)
    except BlockingIOError:
        print("Another build of this site is running; waiting for it", flush=True)
        lock(file, wait=True)
    return file


if os.name == "nt":
    import msvcrt

    def lock(file, wait):
        while True:
            try:
                return msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            except OSError:
                if not wait:
                    raise BlockingIOError from None
                time.sleep(0.2)

else:
    import fcntl

    def lock(file, wait):
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def end_with(parent):
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(1)


def let_no_process_stay():
    """Have Sphinx's processes end when this one is killed: they would wait for it, and the lock with them."""
    ours = (os.getpid(),)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            after_in_child=lambda: threading.Thread(target=end_with, args=ours, daemon=True).start()
        )


def made():
    """Return the hashes of all that is there of a site, without what systems leave in folders."""
    files = {path for folder in MADE for path in [*listing(folder), folder / ".buildinfo"]}
    return {path.relative_to(BUILD).as_posix(): digest_now(path) for path in sorted(files)}


def last_build():
    """Return what the site was made from, and whether it is as it was made."""
    record = read_record(RECORD)
    return record.get("from", {}), record.get("made") == made()


def sources():
    """Return the files of the pages and of the package's wheel; conf.py and the like are in foundation()."""
    return [*listing(ROOT / "docs", ROOT / "rnn_notes"), ROOT / "README.md", ROOT / "LICENSE"]


def build():
    """Return 0 if there is a site in the end, and the exit code of Sphinx if not."""
    before, whole = last_build()
    usual = {"": digest(foundation(), sys.argv[1:]), **digests(sources())}
    now = usual | digests(name for name in before if name)  # pages may read other files as well
    if whole and now == before:
        return 0
    RECORD.unlink(missing_ok=True)
    for folder in MADE:
        if folder.exists() and not (whole and now[""] == before[""]):
            shutil.rmtree(folder)
    let_no_process_stay()
    gc.disable()  # a build ends before it has made much garbage, and finding none in doctrees takes long
    from sphinx.cmd.build import main as run_sphinx

    if code := run_sphinx([*sys.argv[1:], "-d", str(MADE[1]), "docs", str(MADE[0])]):
        return code
    from rebuilding import depended_on

    now = usual | digests(name for name in depended_on if not name.startswith("_build/"))
    write_record(RECORD, {"from": now, "made": made()})
    return 0


def main():
    os.chdir(ROOT)
    try:
        BUILD.mkdir(exist_ok=True)
        variables = environment()
        os.environ.clear()
        os.environ.update(variables)
        if hasattr(time, "tzset"):
            time.tzset()
        with wait_for_others():
            code = build()
    except OSError as error:
        code = f"rnn-notes: {error}"
    except KeyboardInterrupt:
        code = 130
    finally:
        clear()
    if code:
        sys.exit(code)
    print("The site:", (MADE[0] / "index.html").as_uri())


if __name__ == "__main__":
    main()
