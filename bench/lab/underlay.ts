// The ground of a bench: network namespaces that stand for hosts on one wire, and namespaces that stand for workloads.
// Every name begins with the bench's own prefix, so that removal is a look at what is there. Nothing is made, and no
// packet is sent, outside them.
import { existsSync, readdirSync } from "node:fs";
import { must } from "../../src/demo/run.ts";

const NETNS_DIR = "/run/netns";
/** One prefix per process; short, because device names derive from it nowhere and paths are printed. */
export const PREFIX = `wbench${process.pid}-`;
const LAN = `${PREFIX}lan`;
export const LAN_IP = "172.30.99.1";

export type BenchHost = { readonly name: string; readonly netns: string; readonly ip: string };

export function pathOf(netns: string): string {
  return `${NETNS_DIR}/${netns}`;
}

/** The argument list that runs a program in a namespace; not `ip netns exec`, which changes mounts as well. */
export function inside(netns: string, argv: readonly string[]): string[] {
  return ["nsenter", `--net=${pathOf(netns)}`, ...argv];
}

/** Runs `ip` commands, one per line, in a namespace. */
export async function ip(netns: string, commands: readonly string[]): Promise<void> {
  await must(["ip", "-n", netns, "-batch", "-"], commands.map((command) => `${command}\n`).join(""));
}

/** Runs `bridge` commands, one per line, in a namespace. */
export async function bridge(netns: string, commands: readonly string[]): Promise<void> {
  await must(["bridge", "-n", netns, "-batch", "-"], commands.map((command) => `${command}\n`).join(""));
}

/** A namespace whose bridges do not pass frames through the firewall (the kernel's default is that they do). */
export async function addNamespace(name: string): Promise<string> {
  await must(["ip", "netns", "add", name]);
  const keys = ["iptables", "ip6tables", "arptables"].map((table) => `net.bridge.bridge-nf-call-${table}=0`);
  if (existsSync("/proc/sys/net/bridge")) await must(inside(name, ["sysctl", "-q", "-w", ...keys]));
  await ip(name, ["link set lo up"]);
  return name;
}

/** Hosts h1…hn, each with eth0 on one wire; the wire's own namespace has LAN_IP and is where a server can run. */
export async function buildUnderlay(
  count: number,
): Promise<{ readonly lan: string; readonly hosts: readonly BenchHost[] }> {
  await addNamespace(LAN);
  await ip(LAN, ["link add lan type bridge", "link set lan up", `address add ${LAN_IP}/24 dev lan`]);
  const hosts: BenchHost[] = [];
  for (let n = 1; n <= count; n++) {
    const host = { name: `h${n}`, netns: `${PREFIX}h${n}`, ip: `172.30.99.${10 + n}` };
    await addNamespace(host.netns);
    await ip(LAN, [
      `link add ${host.name} type veth peer name eth0 netns ${host.netns}`,
      `link set ${host.name} master lan up`,
    ]);
    await ip(host.netns, ["link set eth0 up", `address add ${host.ip}/24 dev eth0`, `route add default via ${LAN_IP}`]);
    hosts.push(host);
  }
  return { lan: LAN, hosts };
}

/** Removes every namespace of this bench, whoever made it. */
export async function removeNamespaces(): Promise<void> {
  const names = existsSync(NETNS_DIR) ? readdirSync(NETNS_DIR).filter((name) => name.startsWith(PREFIX)) : [];
  for (const name of names) await must(["ip", "netns", "delete", name]);
}
