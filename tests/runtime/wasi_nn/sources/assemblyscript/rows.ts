// Computes the model m on the row [1, 2], and writes its output to the standard output.
// @ts-ignore: decorator
@external("wasi_ephemeral_nn", "load_by_name")
declare function load_by_name(name: usize, size: u32, graph: usize): u32;
// @ts-ignore: decorator
@external("wasi_ephemeral_nn", "init_execution_context")
declare function init_execution_context(graph: u32, context: usize): u32;
// @ts-ignore: decorator
@external("wasi_ephemeral_nn", "set_input")
declare function set_input(context: u32, index: u32, tensor: usize): u32;
// @ts-ignore: decorator
@external("wasi_ephemeral_nn", "compute")
declare function compute(context: u32): u32;
// @ts-ignore: decorator
@external("wasi_ephemeral_nn", "get_output")
declare function get_output(context: u32, index: u32, buffer: usize, room: u32, written: usize): u32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "fd_write")
declare function fd_write(fd: u32, vectors: usize, count: u32, written: usize): u32;
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "proc_exit")
declare function proc_exit(code: u32): void;

const number = memory.data(8);
const tensor = memory.data(20);
const vector = memory.data(8);
const output = memory.data(64);

function require(result: u32): void {
  if (result != 0) proc_exit(10 + result);
}

const name = String.UTF8.encode("m");
require(load_by_name(changetype<usize>(name), name.byteLength, number));
require(init_execution_context(load<u32>(number), number));
const context = load<u32>(number);
const sizes: StaticArray<u32> = [1, 2];
const row: StaticArray<f32> = [1, 2];
store<u32>(tensor, changetype<usize>(sizes), 0);
store<u32>(tensor, 2, 4);
store<u8>(tensor, 1, 8);
store<u32>(tensor, changetype<usize>(row), 12);
store<u32>(tensor, 8, 16);
require(set_input(context, 0, tensor));
require(compute(context));
require(get_output(context, 0, output, 64, number));
store<u32>(vector, output, 0);
store<u32>(vector, load<u32>(number), 4);
fd_write(1, vector, 1, number);
