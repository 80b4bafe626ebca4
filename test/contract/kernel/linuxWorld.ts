// A world on Linux: a new network namespace is the host, and nothing touches the machine's own. Other programs are
// played by iproute2 and nft.
import { strict as assert } from "node:assert";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import type { KernelObject } from "../../../src/datapath/kinds.ts";
import type { Ns } from "../../../src/datapath/kinds/kind.ts";
import { WEFT_ROUTE_METRIC } from "../../../src/datapath/kinds/route.ts";
import { LinuxKernel, type LinuxOptions } from "../../../src/kernel/linux.ts";
import { netnsFile } from "../../../src/datapath/kinds/netns.ts";
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

export class LinuxWorld implements World {
  readonly kernel: LinuxKernel;
  readonly #prefix = `wk${process.pid}x${++worlds}-`;
  readonly #host = `${this.#prefix}host`;
  readonly #made = [this.#host];
  readonly #kernels: LinuxKernel[] = [];

  constructor() {
    run("ip", "netns", "add", this.#host);
    run("ip", "-n", this.#host, "link", "set", "lo", "up");
    this.kernel = this.restart();
  }

  /** What an agent of this host is started with. */
  get options(): Required<LinuxOptions> {
    return { host: `/run/netns/${this.#host}`, prefix: `${this.#prefix}v-` };
  }

  restart(): LinuxKernel {
    const kernel = new LinuxKernel(this.options);
    this.#kernels.push(kernel);
    return kernel;
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
    return run("nsenter", `--net=/run/netns/${this.name(ns)}`, ...argv);
  }

  plant(object: KernelObject): Promise<void> {
    switch (object.kind) {
      case "netns":
        run("ip", "netns", "add", this.name(object.ns));
        break;
      case "bridge":
        this.#ip(object.ns, "link", "add", object.name, "address", object.mac, "type", "bridge");
        break;
      case "address":
        this.#ip(object.ns, "address", "add", object.cidr, "dev", object.dev);
        this.#ip(object.ns, "link", "set", object.dev, "up");
        break;
      case "route":
        this.#ip(object.ns, "route", "add", ...routeWords(object), "proto", "static");
        break;
      case "neighbour":
        this.#ip(object.ns, "neigh", "add", object.ip, "lladdr", object.mac, "dev", object.dev, "nud", "permanent");
        break;
      case "nft":
        this.inside(object.ns, "nft", `table inet weft {\n${object.body}}`);
        break;
      default:
        assert.fail(`nobody plants ${object.kind}`);
    }
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

  disturb(object: KernelObject): Promise<void> {
    const { ns } = object;
    switch (object.kind) {
      case "netns":
        run("ip", "netns", "del", this.name(ns));
        break;
      case "sysctl":
        this.inside(ns, "sysctl", "-w", `net.${object.key.replaceAll("/", ".")}=${object.value === "1" ? 0 : 1}`);
        break;
      case "nft":
        this.inside(ns, "nft", "add", "rule", "inet", "weft", "forward", "counter", "drop");
        break;
      case "element":
        this.inside(ns, "nft", "delete", "element", "bridge", "weft", object.set, keyOfElement(object));
        break;
      case "bridge":
      case "vxlan":
      case "veth":
      case "ifb":
        this.#ip(ns, "link", "del", object.name);
        break;
      case "tbf":
        run("tc", "-n", this.name(ns), "qdisc", "del", "dev", object.dev, "root");
        break;
      case "redirect":
        run("tc", "-n", this.name(ns), "qdisc", "del", "dev", object.dev, "ingress");
        break;
      case "address":
        this.#ip(ns, "address", "del", object.cidr, "dev", object.dev);
        break;
      case "route":
        this.#ip(ns, ...(object.dst.includes(":") ? ["-6"] : []), "route", "del", ...routeWords(object));
        break;
      case "hop":
      case "neighbour":
        this.#ip(ns, "neighbour", "del", object.ip, "dev", object.dev);
        break;
      case "fdb":
        run("bridge", "-n", this.name(ns), "fdb", "del", object.mac, "dev", object.dev, "dst", object.dst, "self");
        break;
      case "bridge-fdb":
        run("bridge", "-n", this.name(ns), "fdb", "del", object.mac, "dev", object.dev, "master");
        break;
    }
    return Promise.resolve();
  }

  addElement(ns: Ns): Promise<void> {
    this.inside(ns, "nft", "add", "element", "inet", "weft", "members", "{ 203.0.113.1 }");
    return Promise.resolve();
  }

  close(): Promise<void> {
    for (const kernel of this.#kernels) kernel.close();
    const all = run("ip", "netns", "list")
      .split("\n")
      .map((line) => line.split(" ", 1)[0] ?? "");
    for (const name of all.filter((found) => found.startsWith(this.#prefix))) run("ip", "netns", "del", name);
    return Promise.resolve();
  }
}

function keyOfElement({ key }: Extract<KernelObject, { kind: "element" }>): string {
  return `{ ${key} }`;
}

function routeWords(object: Extract<KernelObject, { kind: "route" }>): string[] {
  const via = object.via === undefined ? [] : ["via", object.via];
  return [object.dst, ...via, "dev", object.dev, "metric", String(object.metric ?? WEFT_ROUTE_METRIC)];
}
