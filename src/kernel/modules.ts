// Which modules this kernel has, without loading any: a module that is loaded, built in, or on disk for this kernel.
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";

/** Whether there is a module of that name, or a kernel that needs none. `root` is the machine's. */
export function hasModule(name: string, root = "/"): boolean {
  // Underscores and hyphens are the same in names of modules, and files have either.
  const inSys = join(root, "sys/module", name.replaceAll("-", "_"));
  if (existsSync(inSys)) return true;
  const file = new RegExp(`/${name.replaceAll(/[-_]/g, "[-_]")}\\.ko`, "m");
  const lists = ["modules.dep", "modules.builtin"].map((list) => join(root, "lib/modules", release(), list));
  return lists.some((list) => file.test(textOf(list)));
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // A kernel without modules has no such list.
    return "";
  }
}
