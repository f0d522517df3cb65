// Runs the WebAssembly program named on the command line: lends it a way to print and to stop.
import { readFileSync, writeSync } from "node:fs";

let memory;
const host = {
  print_bytes: (at, count) => writeSync(1, new Uint8Array(memory.buffer, at, count)),
  stop: (success) => process.exit(success ? 0 : 1),
};
const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), { host });
memory = instance.exports.memory;
instance.exports.start();
