// The wire and the hosts of the demonstration, as network namespaces. One holds a bridge (the wire), an address outside
// all overlays and the route to it; each host has one port on the bridge. No link is in the machine's own namespace.
import { existsSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { HOSTS, LAN, MTU, OUTSIDE, PREFIX } from "./layout.ts";
import { must } from "./run.ts";

const NETNS_DIR = "/run/netns";

export async function buildUnderlay(): Promise<void> {
  await addNamespaces([LAN.netns, ...HOSTS.map((h) => h.netns)]);
  const cable = `mtu ${MTU} type veth peer name`;
  await ip(HOSTS.map((h) => `link add name eth0 netns ${h.netns} ${cable} ${h.name} netns ${LAN.netns} mtu ${MTU}`));
  await ip(
    [
      "link set lo up",
      `link add ${LAN.bridge} mtu ${MTU} type bridge`,
      `link set ${LAN.bridge} up`,
      `address add ${LAN.ip}/24 dev ${LAN.bridge}`,
      `address add ${LAN.ip6}/64 dev ${LAN.bridge} nodad`,
      `address add ${OUTSIDE}/32 dev lo`,
      ...HOSTS.map((h) => `link set ${h.name} master ${LAN.bridge} up`),
    ],
    LAN.netns,
  );
  await Promise.all(
    HOSTS.map((h) =>
      ip(
        [
          "link set lo up",
          "link set eth0 up",
          `address add ${h.ip}/24 dev eth0`,
          `address add ${h.ip6}/64 dev eth0 nodad`,
          `route add default via ${LAN.ip}`,
        ],
        h.netns,
      ),
    ),
  );
}

/** Runs commands of ip(8), all in one process; in a namespace, or in the machine's own. */
async function ip(commands: readonly string[], netns?: string): Promise<void> {
  const where = netns === undefined ? [] : ["-n", netns];
  await must(["ip", ...where, "-batch", "-"], commands.map((command) => `${command}\n`).join(""));
}

export async function addNamespaces(names: readonly string[]): Promise<void> {
  await ip(names.map((name) => `netns add ${name}`));
}

/** All namespaces of the demonstration that exist: hosts, workloads, and what the agents made for VRFs. */
export function demoNamespaces(): string[] {
  const names = existsSync(NETNS_DIR) ? readdirSync(NETNS_DIR) : [];
  return names.filter((name) => name.startsWith(PREFIX)).toSorted();
}

export async function removeNamespaces(names: readonly string[]): Promise<void> {
  await ip(names.map((name) => `netns delete ${name}`));
}

/** Processes in these namespaces, as `pid name`: a shell that was opened there keeps the namespace alive. */
export function processesIn(names: readonly string[]): Map<number, string> {
  const inodes = new Map(names.map((name) => [`net:[${statSync(`${NETNS_DIR}/${name}`).ino}]`, name]));
  const found = new Map<number, string>();
  for (const pid of readdirSync("/proc").map(Number).filter(Number.isInteger)) {
    try {
      const name = inodes.get(readlinkSync(`/proc/${pid}/ns/net`));
      if (name !== undefined) found.set(pid, name);
    } catch {
      // The process ended meanwhile, or the kernel hides it.
    }
  }
  return found;
}

export function inNetns(netns: string, argv: readonly string[]): string[] {
  // Not `ip netns exec`: that hides the machine's /sys/fs/cgroup from everything started below it.
  return ["nsenter", `--net=${NETNS_DIR}/${netns}`, ...argv];
}

export function netnsPath(netns: string): string {
  return `${NETNS_DIR}/${netns}`;
}
