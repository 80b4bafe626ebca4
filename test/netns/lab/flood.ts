// A process that sends frames into one interface for as long as it lives, over and over: traffic that does not wait for
// a test to have its turn. Arguments: the namespace, the interface, and the frames in hexadecimal digits.
import { Interface } from "./interface.ts";

const PAUSE_MS = 0.05;
const [netns = "", name = "", ...texts] = process.argv.slice(2);
const wire = await Interface.in(netns, name);
const list = texts.map((text) => Buffer.from(text, "hex"));
process.stdout.write("sending\n");
const clock = new Int32Array(new SharedArrayBuffer(4));
for (;;) {
  for (const frame of list) wire.send(frame);
  // Leaves something of the machine to others.
  Atomics.wait(clock, 0, 0, PAUSE_MS);
}
