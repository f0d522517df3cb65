// Prints the names of what the WebAssembly program on the command line imports, and of its functions: its symbol table.
import { readFileSync } from "node:fs";

const module = new WebAssembly.Module(readFileSync(process.argv[2]));
for (const { module: from, name } of WebAssembly.Module.imports(module)) console.log(`import ${from} ${name}`);

const section = WebAssembly.Module.customSections(module, "name")[0];
if (!section) throw new Error("no names were left in it");
const bytes = new Uint8Array(section);
let at = 0;
// Unsigned LEB128.
const number = () => {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return value;
  }
};
const FUNCTIONS = 1;
while (at < bytes.length) {
  const kind = bytes[at++];
  const size = number();
  const end = at + size;
  if (kind === FUNCTIONS) {
    for (let left = number(); left > 0; left--) {
      const index = number();
      const length = number();
      console.log(index, new TextDecoder().decode(bytes.subarray(at, at + length)));
      at += length;
    }
  }
  at = end;
}
