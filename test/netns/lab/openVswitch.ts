// Open vSwitch for tests: a database and a switch of their own, with files, sockets and devices in a directory and a
// network namespace of the test. The programs are those of build/ovs (script/setup test), or the machine's.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { until } from "./cluster.ts";

const UNPACKED = resolve(import.meta.dirname, "../../../build/ovs/usr");
const PROGRAMS = ["bin", "sbin", "lib/openvswitch-switch"].map((folder) => join(UNPACKED, folder));
const path = [...PROGRAMS, process.env["PATH"], "/usr/sbin", "/usr/lib/openvswitch-switch"].join(delimiter);

/** Folders of libraries beside the programs, one per architecture. */
function libraries(): string {
  const folder = join(UNPACKED, "lib");
  const all = existsSync(folder) ? readdirSync(folder) : [];
  return all
    .filter((name) => name.includes("-linux-"))
    .map((name) => join(folder, name))
    .join(delimiter);
}

const SCHEMA = [UNPACKED, "/usr"].map((root) => join(root, "share/openvswitch/vswitch.ovsschema")).find(existsSync);

/** Why this machine cannot run it; undefined if it can. */
export function ovsObstacle(): string | undefined {
  return SCHEMA === undefined ? "Open vSwitch is not there (script/setup test unpacks it)" : undefined;
}

/**
 * A guest is up for a few seconds only. In the first ten of a machine, Open vSwitch 3.1 takes its number of processors
 * for 0 (lib/ovs-thread.c counts when ten seconds have passed since the last time, which it takes to be the boot), and
 * starts no thread for packets of the kernel's datapath; those that it starts later often get none.
 */
export async function oldEnough(): Promise<void> {
  const isUpFor = (seconds: number) => Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) > seconds;
  await until("the machine is up for ten seconds", async () => isUpFor(10.5));
}

type Daemon = "ovsdb-server" | "ovs-vswitchd";

export class OpenVswitch {
  readonly directory = mkdtempSync(join(tmpdir(), "weft-ovs-"));
  /** The database's. */
  readonly socket = join(this.directory, "db.sock");
  readonly #netns: string | undefined;
  readonly #lost: number[] = [];

  /** `netns`: the namespace, as `ip netns` lists it, in which the switch makes its devices. */
  constructor(netns?: string) {
    this.#netns = netns;
  }

  /** What its programs are called with: they find its sockets by themselves. */
  get env(): Readonly<Record<string, string>> {
    const own = { OVS_RUNDIR: this.directory, OVS_LOGDIR: this.directory, OVS_DBDIR: this.directory };
    return { ...own, OVS_SYSCONFDIR: this.directory, PATH: path, LD_LIBRARY_PATH: libraries() };
  }

  /** Starts the database, new or as it was. */
  startDatabase(): void {
    const file = join(this.directory, "conf.db");
    if (!existsSync(file)) this.run("ovsdb-tool", "create", file, SCHEMA ?? "");
    const remote = `--remote=punix:${this.socket}`;
    this.run(
      "ovsdb-server",
      file,
      remote,
      ...this.#daemon("ovsdb-server"),
      "--unixctl",
      join(this.directory, "db.ctl"),
    );
    this.run("ovs-vsctl", "--no-wait", "init");
  }

  /** Starts the switch. */
  startSwitch(): void {
    const inside = this.#netns === undefined ? [] : ["ip", "netns", "exec", this.#netns];
    const control = ["--unixctl", join(this.directory, "switch.ctl")];
    const [program, ...args] = [...inside, "ovs-vswitchd", `unix:${this.socket}`];
    this.run(program, ...args, ...this.#daemon("ovs-vswitchd"), ...control);
  }

  #daemon(name: Daemon): readonly string[] {
    const log = join(this.directory, `${name}.log`);
    return [`--pidfile=${this.#pidfile(name)}`, `--log-file=${log}`, "--detach", "--no-chdir", "-vconsole:off"];
  }

  #pidfile(name: Daemon): string {
    return join(this.directory, `${name}.pid`);
  }

  /** Sends a signal to a daemon that runs. */
  signal(name: Daemon, signal: NodeJS.Signals): void {
    process.kill(this.#pidOf(name), signal);
  }

  /** The files that tell of the daemons' processes go, as where they were never written; gives the switch's process. */
  loseProcessFiles(): number {
    const pid = this.#pidOf("ovs-vswitchd");
    for (const name of ["ovs-vswitchd", "ovsdb-server"] as const) this.#lost.push(this.#pidOf(name));
    for (const name of ["ovs-vswitchd", "ovsdb-server"] as const) rmSync(this.#pidfile(name), { force: true });
    return pid;
  }

  #pidOf(name: Daemon): number {
    return Number(readFileSync(this.#pidfile(name), "utf8"));
  }

  /** Removes the files of a database that does not run. */
  forget(): void {
    for (const name of ["conf.db", ".conf.db.~lock~"]) rmSync(join(this.directory, name), { force: true });
  }

  vsctl(...args: readonly string[]): string {
    return this.run("ovs-vsctl", "--timeout=5", ...args);
  }

  run(program: string, ...args: readonly string[]): string {
    return execFileSync(program, args, { encoding: "utf8", env: this.env, stdio: ["ignore", "pipe", "pipe"] }).trim();
  }

  /** Ends the daemons, and removes all files. */
  close(): void {
    for (const name of ["ovs-vswitchd", "ovsdb-server"] as const) {
      try {
        this.signal(name, "SIGKILL");
      } catch {
        // It does not run.
      }
    }
    for (const pid of this.#lost) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}
