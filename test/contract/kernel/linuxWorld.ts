// A world on Linux: a new network namespace is the host, and nothing touches the machine's own. Other programs are
// played by iproute2 and nft.
import { strict as assert } from "node:assert";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import type { KernelObject, ObjectOf } from "../../../src/datapath/kinds.ts";
import type { Ns } from "../../../src/datapath/kinds/kind.ts";
import { WEFT_ROUTE_METRIC } from "../../../src/datapath/kinds/entries.ts";
import type { Kernel } from "../../../src/kernel/kernel.ts";
import { linuxKernel, type LinuxOptions } from "../../../src/kernel/linux.ts";
import { netnsFile } from "../../../src/datapath/kinds/namespaces.ts";
import { printOps } from "../../../src/datapath/state/print.ts";
import type { Op } from "../../../src/datapath/state/state.ts";
import { OpenVswitch } from "../../netns/lab/openVswitch.ts";
import type { Workload, World } from "./world.ts";

let worlds = 0;

export function run(...argv: readonly string[]): string {
  const [program = "", ...args] = argv;
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Why this machine cannot run these tests; undefined if it can. */
export function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return "not root";
  try {
    run("unshare", "-n", "ip", "link", "add", "vx0", "type", "vxlan", "id", "1", "dstport", "4789");
    run("unshare", "-n", "nft", "list", "ruleset");
    return undefined;
  } catch (error) {
    return `no VXLAN, nftables or iproute2: ${String(error).split("\n", 2).join(" ")}`;
  }
}

/** How one is made of each kind of links that is a module of its own, which a kernel may lack. */
const PROBES: Readonly<Record<string, readonly string[]>> = {
  gretap: ["local", "127.0.0.1", "remote", "127.0.0.2", "key", "1"],
  ip6gretap: ["local", "::1", "remote", "::2", "key", "1"],
  vlan: ["id", "1"],
};
export const PROBED_KINDS: readonly string[] = Object.keys(PROBES);
const lackedKinds = new Map<string, boolean>();

/** Whether the kernel has no such links. */
export function lacks(kind: string): boolean {
  const ends = PROBES[kind];
  if (ends === undefined) return false;
  const known = lackedKinds.get(kind);
  if (known !== undefined) return known;
  const argv = ["-n", "ip", "link", "add", "probe0", "type", kind, ...ends];
  const isLacking = spawnSync("unshare", argv, { encoding: "utf8" }).stderr.includes("Unknown device type");
  lackedKinds.set(kind, isLacking);
  return isLacking;
}

export class LinuxWorld implements World {
  readonly kernel: Kernel;
  readonly #prefix = `wk${process.pid}x${++worlds}-`;
  readonly #host = `${this.#prefix}host`;
  readonly #made = [this.#host];
  readonly #kernels: Kernel[] = [];
  readonly #ovs = new OpenVswitch(this.#host);

  constructor() {
    run("ip", "netns", "add", this.#host);
    run("ip", "-n", this.#host, "link", "set", "lo", "up");
    // A device of the host's own.
    run("ip", "-n", this.#host, "link", "add", "lan0", "up", "type", "veth", "peer", "name", "switch0");
    run("ip", "-n", this.#host, "link", "set", "switch0", "up");
    this.kernel = this.restart();
  }

  /** What an agent of this host is started with. */
  get options(): Required<LinuxOptions> {
    return { host: `/run/netns/${this.#host}`, prefix: `${this.#prefix}v-`, ovsdb: this.#ovs.socket };
  }

  restart(): Kernel {
    const kernel = linuxKernel(this.options);
    this.#kernels.push(kernel);
    return kernel;
  }

  start(objects: readonly KernelObject[]): void {
    if (!objects.some(({ kind }) => kind === "ovs-bridge")) return;
    this.#ovs.startDatabase();
    this.#ovs.startSwitch();
  }

  workload(): Promise<Workload> {
    const name = `${this.#prefix}w${this.#made.length}`;
    this.#made.push(name);
    run("ip", "netns", "add", name);
    return Promise.resolve<Workload>(`/run/netns/${name}`);
  }

  removeWorkload(path: Workload): Promise<void> {
    run("ip", "netns", "del", basename(path));
    return Promise.resolve();
  }

  /** Name of a namespace for `ip -n`. */
  name(ns: Ns): string {
    if (ns === "host") return this.#host;
    return ns.startsWith("vrf:") ? netnsFile(`${this.#prefix}v-`, ns.slice(4)) : basename(ns);
  }

  #ip(ns: Ns, ...args: readonly string[]): string {
    return run("ip", "-n", this.name(ns), ...args);
  }

  /** With that namespace's /proc/sys/net. */
  inside(ns: Ns, ...argv: readonly string[]): string {
    return this.#ovs.run("nsenter", `--net=/run/netns/${this.name(ns)}`, ...argv);
  }

  /** Runs lines that Weft prints, as a user of this host would. */
  paste(lines: readonly string[]): void {
    this.inside("host", "bash", "-ec", lines.map(understood).join("\n"));
  }

  print(ops: readonly Op[]): readonly string[] {
    return printOps(ops, this.options.prefix);
  }

  plant(object: KernelObject): Promise<void> {
    this.paste(this.print([{ op: "add", object }]).map(unmarked));
    return Promise.resolve();
  }

  has(object: KernelObject): Promise<boolean> {
    return Promise.resolve(this.#has(object));
  }

  #has(object: KernelObject): boolean {
    switch (object.kind) {
      case "netns":
        return existsSync(`/run/netns/${this.name(object.ns)}`);
      case "bridge":
        return this.#ip(object.ns, "-d", "link", "show").includes(`: ${object.name}: `);
      case "address":
        return this.#ip(object.ns, "address", "show", "dev", object.dev).includes(` ${object.cidr} `);
      case "route":
        return this.#ip(object.ns, "route", "show", ...routeWords(object)) !== "";
      case "neighbour":
        return this.#ip(object.ns, "neigh", "show", object.ip, "dev", object.dev).includes(`${object.mac} PERMANENT`);
      case "nft":
        return this.inside(object.ns, "nft", "list", "table", "inet", "weft").includes("chain theirs");
      default:
        return assert.fail(`nobody asks for ${object.kind}`);
    }
  }

  isStillThere(object: KernelObject): Promise<boolean> {
    try {
      this.paste(this.print([{ op: "remove", object }]).map(unmarked));
      return Promise.resolve(true);
    } catch {
      return Promise.resolve(false);
    }
  }

  disturb(object: KernelObject): Promise<void> {
    if (object.kind === "nft")
      this.inside(object.ns, "nft", "add", "rule", "inet", "weft", "forward", "counter", "drop");
    else if (object.kind === "sysctl") this.paste(this.print([{ op: "add", object: switched(object) }]));
    else this.paste(this.print([{ op: "remove", object }]));
    return Promise.resolve();
  }

  addElement(ns: Ns): Promise<void> {
    this.inside(ns, "nft", "add", "element", "inet", "weft", "members", "{ 203.0.113.1 }");
    return Promise.resolve();
  }

  close(): Promise<void> {
    for (const kernel of this.#kernels) kernel.close();
    this.#ovs.close();
    const all = run("ip", "netns", "list")
      .split("\n")
      .map((line) => line.split(" ", 1)[0] ?? "");
    for (const name of all.filter((found) => found.startsWith(this.#prefix))) run("ip", "netns", "del", name);
    return Promise.resolve();
  }
}

function switched(object: ObjectOf<"sysctl">): KernelObject {
  return { ...object, value: object.value === "1" ? "0" : "1" };
}

/** Without what tells our objects from others'. */
function unmarked(line: string): string {
  return line
    .replace(/ alias \S*/, "")
    .replace(/ priority \d+/, "")
    .replaceAll(/ external_ids:weft=\S+/g, "")
    .replace(/ (proto|protocol) 87\b/, " $1 static");
}

/** Without the one word that `ip` lacks before 6.7, and with the datapath of Open vSwitch that every machine has. */
function understood(line: string): string {
  const known = hasFdbMax ? line : line.replace(/ fdb_max_learned \d+/, "");
  return known.replace(/^ovs-vsctl add-br (\S+) -- set bridge \S+/, "$& datapath_type=netdev");
}
const hasFdbMax = spawnSync("ip", ["link", "help", "bridge"], { encoding: "utf8" }).stderr.includes("fdb_max_learned");

function routeWords(object: Extract<KernelObject, { kind: "route" }>): string[] {
  const via = object.via === undefined ? [] : ["via", object.via];
  return [object.dst, ...via, "dev", object.dev, "metric", String(object.metric ?? WEFT_ROUTE_METRIC)];
}
