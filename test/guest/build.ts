// Builds the kernel of guests from Debian's source, once for each machine: some minutes on two cores. Ends at once when
// it is there. When something cannot be had it says so and ends well: tests that need a guest are then skipped.
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { CONFIG, GUEST_DIR, OBSTACLE, SHIM_SOURCE } from "./files.ts";

const PACKAGE = "linux-source-6.1";
/** Most of the source's bytes, and nothing of it is built; only the configuration reads some of their files. */
const LEFT_OUT = [
  "drivers/gpu",
  "drivers/net/ethernet",
  "drivers/net/wireless",
  "drivers/media",
  "sound",
  "Documentation",
];

class Obstacle extends Error {}

/** Runs a program that has to succeed; otherwise that is the obstacle, with the end of what it said. */
function must(cwd: string, program: string, ...args: readonly string[]): string {
  try {
    return execFileSync(program, args, {
      cwd,
      encoding: "utf8",
      maxBuffer: 1 << 26,
      stdio: ["ignore", "pipe", "pipe"],
    });
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim().slice(-800) : String(error);
    throw new Obstacle(`${[program, ...args].join(" ")} failed: ${said}`);
  }
}

/** Debian's source, unpacked in `folder`; the path of its root. */
function fetchSource(folder: string): string {
  // The package lists may be older than the newest kernel.
  try {
    must(folder, "apt-get", "download", "-qq", PACKAGE);
  } catch {
    must(folder, "apt-get", "update", "-qq");
    must(folder, "apt-get", "download", "-qq", PACKAGE);
  }
  const deb = readdirSync(folder).find((name) => name.endsWith(".deb")) ?? "";
  must(folder, "dpkg", "-x", deb, "deb");
  const archive = join("deb/usr/src", `${PACKAGE}.tar.xz`);
  const places = LEFT_OUT.map((place) => `${PACKAGE}/${place}`);
  must(folder, "tar", "xf", archive, ...places.flatMap((place) => ["--exclude", `${place}/*.[chS]`]));
  return join(folder, PACKAGE);
}

function buildKernel(source: string): void {
  const make = (...args: readonly string[]) => must(source, "make", "-s", "ARCH=um", ...args);
  make(`KCONFIG_ALLCONFIG=${CONFIG}`, "allnoconfig");
  const lost = execFileSync("grep", ["-vxFf", join(source, ".config"), CONFIG], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.endsWith("=y"));
  if (lost.length > 0) throw new Obstacle(`the kernel's configuration does not know ${lost.join(" ")}`);
  make(`-j${availableParallelism()}`, "linux");
}

function build(): void {
  if (existsSync(GUEST_DIR)) return;
  console.error("building the kernel of guests, once for this machine: some minutes, beside other tests ...");
  mkdirSync(dirname(GUEST_DIR), { recursive: true });
  const scratch = mkdtempSync(`${GUEST_DIR}.`);
  try {
    const source = fetchSource(scratch);
    buildKernel(source);
    const made = join(scratch, "made");
    mkdirSync(made);
    for (const file of ["linux", "modules.builtin"]) copyFileSync(join(source, file), join(made, file));
    must(made, "gcc", "-O2", "-shared", "-fPIC", "-o", "shim.so", SHIM_SOURCE);
    renameSync(made, GUEST_DIR);
    rmSync(OBSTACLE, { force: true });
  } catch (error) {
    if (!(error instanceof Obstacle)) throw error;
    writeFileSync(OBSTACLE, `${error.message.split("\n", 1)[0]}\n`);
    console.error(`could not build the kernel of guests, so tests that need one are skipped: ${error.message}`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (process.arch === "x64") build();
