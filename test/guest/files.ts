// What guests are made of: a kernel that runs as a program (user-mode Linux), built from Debian's source by build.ts.
// It is kept outside the tree, by what it was made from, because building takes minutes: other clones find it.
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export const PROJECT = join(import.meta.dirname, "../..");
export const CONFIG = join(import.meta.dirname, "kernel.config");
export const SHIM_SOURCE = join(import.meta.dirname, "shim.c");

/** Of this user, for all clones. */
export const CACHE = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "weft");
/** With everything in it that guests need; made whole, by a rename. */
export const GUEST_DIR = join(CACHE, `guest-${recipe()}`);
export const KERNEL = join(GUEST_DIR, "linux");
/** What the kernel has instead of modules. */
export const BUILTIN = join(GUEST_DIR, "modules.builtin");
export const SHIM = join(GUEST_DIR, "shim.so");
/** Where build.ts says why it had to give up. */
export const OBSTACLE = join(CACHE, "guest-obstacle");

/** Why this machine cannot run guests; undefined if it can. */
export function whyNoGuests(): string | undefined {
  if (process.arch !== "x64") return `guests run on x86-64 only, and this machine is ${process.arch}`;
  if (process.getuid?.() !== 0) return "guests need root, to read all of this machine's files";
  if (existsSync(GUEST_DIR)) return undefined;
  const why = existsSync(OBSTACLE) ? readFileSync(OBSTACLE, "utf8").trim() : "it was never built";
  return `no kernel for guests: ${why}; see \`node test/guest/build.ts\``;
}

function recipe(): string {
  const hash = createHash("sha256");
  for (const source of [CONFIG, SHIM_SOURCE]) hash.update(readFileSync(source));
  return hash.digest("hex").slice(0, 16);
}
