// Linux keeps the contract also for kinds that a machine's own kernel may lack, on one that has them: in a guest.
import { test } from "node:test";
import { EXAMPLES } from "./examples.ts";
import { kindsOf } from "./kinds.ts";
import { LinuxWorld, PROBED_KINDS, lacks } from "./linuxWorld.ts";
import { pastedOf } from "./pasted.ts";
import { testContract } from "./world.ts";

const lacking = PROBED_KINDS.filter(lacks);
const examples = EXAMPLES.filter(({ is, needs }) => {
  const kinds = [is, ...needs].map(({ kind }) => kind);
  return kinds.some((kind) => PROBED_KINDS.includes(kind)) && !kinds.some((kind) => lacking.includes(kind));
});
for (const contract of [kindsOf(examples), pastedOf(examples)])
  testContract("linux", contract, () => Promise.resolve(new LinuxWorld()));
for (const kind of lacking) test(`${kind}: this kernel lacks it, linux.kernel.test.ts sees it refused`);
