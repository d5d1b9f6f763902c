"""WebAssembly guests in the text format, and functions that make binaries of them.

Each guest is a command: it reads stdin and its variables, and writes a response of CGI to stdout.
"""

from pathlib import Path
from typing import Final

HEAD: Final = "Content-Type: text/plain\n\n"


def binary(text: str) -> bytes:
    """Return the binary of a guest in the text format."""
    from wasmtime import wat2wasm

    return bytes(wat2wasm(text))


def write(path: Path, text: str) -> Path:
    """Write the binary of a guest to a file, and return its path."""
    path.write_bytes(binary(text))
    return path


def _data(text: str) -> str:
    return "".join(f"\\{byte:02x}" for byte in text.encode())


def command(body: str, *, imports: str = "", memory: str = "1", data: str = HEAD, functions: str = "") -> str:
    """Return a core module whose `_start` is `body`, with `data` at address 1024.

    `$out` writes (address, length) to stdout and returns the errno; `$echo` copies stdin to stdout.
    """
    return f"""
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  {imports}
  (memory (export "memory") {memory})
  (data (i32.const 1024) "{_data(data)}")
  (func $out (param i32 i32) (result i32)
    (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1))
    (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
  (func $head (drop (call $out (i32.const 1024) (i32.const {len(data.encode())}))))
  (func $echo
    (loop $more
      (i32.store (i32.const 0) (i32.const 16384)) (i32.store (i32.const 4) (i32.const 16384))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
      (if (i32.load (i32.const 16)) (then
        (drop (call $out (i32.const 16384) (i32.load (i32.const 16))))
        (br $more)))))
  {functions}
  (func (export "_start") {body}))
"""


POLL: Final = """
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
"""
# Sleeps for an hour in `poll_oneoff`: a subscription of the monotonic clock, whose timeout is at 64 + 24.
SLEEP: Final = command(
    """
    (i32.store (i32.const 80) (i32.const 1)) (i64.store (i32.const 88) (i64.const 3600000000000))
    (drop (call $poll (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 512)))
    """,
    imports=POLL,
)
_EXIT: Final = '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))'
ECHO: Final = command("(call $head) (call $echo)")
LOOP: Final = command("(loop $again (br $again))")
TRAP: Final = command("(call $head) unreachable")
# Grows its memory until that fails, and traps then, as programs do that are out of memory.
HUNGRY: Final = command("(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable")
RECURSION: Final = command("(call $deeper)", functions="(func $deeper (call $deeper))")
FLOOD: Final = command("(loop $more (br_if $more (i32.eqz (call $out (i32.const 0) (i32.const 65536))))) unreachable")


def exiting(status: int) -> str:
    """Return a guest that answers, and exits with a status."""
    return command(f"(call $head) (call $exit (i32.const {status}))", imports=_EXIT)


def saying(text: str) -> str:
    """Return a guest that writes a text to stdout."""
    return command("(call $head)", data=text)


# Writes its variables, each with a NUL at its end, then its arguments, as WASI has them.
ENVIRONMENT: Final = command(
    """
    (call $head)
    (drop (call $environ_sizes_get (i32.const 32) (i32.const 36)))
    (drop (call $environ_get (i32.const 4096) (i32.const 16384)))
    (drop (call $out (i32.const 16384) (i32.load (i32.const 36))))
    (drop (call $args_sizes_get (i32.const 32) (i32.const 36)))
    (drop (call $args_get (i32.const 4096) (i32.const 16384)))
    (drop (call $out (i32.const 16384) (i32.load (i32.const 36))))
    """,
    imports="".join(
        f'(import "wasi_snapshot_preview1" "{name}" (func ${name} (param i32 i32) (result i32)))'
        for name in ("environ_sizes_get", "environ_get", "args_sizes_get", "args_get")
    ),
)

_COMPONENT: Final = """
(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $err))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $out (sub resource)))
    (export "input-stream" (type $in (sub resource)))
    (alias outer 1 $err (type $e0))
    (export "error" (type $e (eq $e0)))
    (type $se' (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $se (eq $se')))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $se)))))
    (export "[method]input-stream.blocking-read" (func
      (param "self" (borrow $in)) (param "len" u64) (result (result (list u8) (error $se)))))
  ))
  (alias export $streams "output-stream" (type $os))
  (alias export $streams "input-stream" (type $is))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $os (type $o0)) (export "output-stream" (type $o (eq $o0)))
    (export "get-stdout" (func (result (own $o))))))
  (import "wasi:cli/stdin@0.2.0" (instance $stdin
    (alias outer 1 $is (type $i0)) (export "input-stream" (type $i (eq $i0)))
    (export "get-stdin" (func (result (own $i))))))
  (core module $libc (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))
  (core instance $libc (instantiate $libc))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $get-stdin (canon lower (func $stdin "get-stdin")))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory (core memory $libc "memory"))))
  (core func $read (canon lower (func $streams "[method]input-stream.blocking-read")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "host" "get-stdout" (func $get-stdout (result i32)))
    (import "host" "get-stdin" (func $get-stdin (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "read" (func $read (param i32 i64 i32)))
    (data (i32.const 100) "HEAD")
    (func (export "run") (result i32) (local $out i32) (local $in i32)
      BODY))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "get-stdout" (func $get-stdout)) (export "get-stdin" (func $get-stdin))
      (export "write" (func $write)) (export "read" (func $read))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $run-i (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $run-i)))
"""
_ECHO_BODY: Final = """
      (local.set $out (call $get-stdout)) (local.set $in (call $get-stdin))
      (call $write (local.get $out) (i32.const 100) (i32.const 26) (i32.const 16))
      (loop $more
        (call $read (local.get $in) (i64.const 4000) (i32.const 32))
        (if (i32.eqz (i32.load8_u (i32.const 32))) (then
          (call $write (local.get $out) (i32.load (i32.const 36)) (i32.load (i32.const 40)) (i32.const 16))
          (br $more))))
      (i32.const 0)
"""


def component(body: str) -> str:
    """Return a component whose `wasi:cli/run` is `body`; it returns 0 for ok and 1 for an error."""
    return _COMPONENT.replace("HEAD", _data(HEAD)).replace("BODY", body)


COMPONENT_ECHO: Final = component(_ECHO_BODY)
COMPONENT_LOOP: Final = component("(loop $again (br $again)) (i32.const 0)")
COMPONENT_TRAP: Final = component("unreachable")
COMPONENT_ERROR: Final = component("(i32.const 1)")
# Sleeps for an hour in `pollable.block`.
COMPONENT_SLEEP: Final = """
(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $p0)) (export "pollable" (type $p (eq $p0)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core module $main
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (func (export "run") (result i32) (call $block (call $subscribe (i64.const 3600000000000))) (i32.const 0)))
  (core instance $main (instantiate $main (with "host" (instance
    (export "subscribe" (func $subscribe)) (export "block" (func $block))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $interface (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $interface)))
"""
