// A cluster for a bench, and namespaces beside it: what the kernel tests build with, removed when the bench ends, also
// when it fails or is interrupted. No packet is sent outside these namespaces.
import { once } from "node:events";
import { existsSync } from "node:fs";
import { Cluster, must } from "../../test/netns/lab/cluster.ts";

/** `made`: how many hosts, or a cluster that is not open yet. */
export async function withCluster<C extends Cluster>(
  made: number | C,
  work: (cluster: C) => Promise<void>,
): Promise<void> {
  const cluster = (typeof made === "number" ? new Cluster(made) : made) as C;
  const interrupted = once(process, "SIGINT").then(() => Promise.reject(new Error("interrupted")));
  try {
    await Promise.race([cluster.open().then(() => work(cluster)), interrupted]);
  } finally {
    await cluster.close();
  }
}

export function pathOf(netns: string): string {
  return `/run/netns/${netns}`;
}

/** The argument list that runs a program in a namespace; not `ip netns exec`, which changes mounts as well. */
export function inside(path: string, argv: readonly string[]): string[] {
  return ["nsenter", `--net=${path}`, ...argv];
}

/** Runs `ip` commands in a namespace. */
export async function ip(netns: string, commands: readonly string[]): Promise<void> {
  for (const command of commands) await must("ip", "-n", netns, ...command.split(" "));
}

/** Runs `bridge` commands in a namespace. */
export async function bridge(netns: string, commands: readonly string[]): Promise<void> {
  for (const command of commands) await must("bridge", "-n", netns, ...command.split(" "));
}

/** A namespace of the cluster's, with bridgesOnly(). */
export async function addNamespace(cluster: Cluster, name: string): Promise<string> {
  const netns = await cluster.addWorkloadNetns(name);
  await bridgesOnly(netns);
  return netns;
}

/** Bridges of a namespace do not pass frames through the firewall, as on a machine without Docker or Kubernetes. */
export async function bridgesOnly(netns: string): Promise<void> {
  const keys = ["iptables", "ip6tables", "arptables"].map((table) => `net.bridge.bridge-nf-call-${table}=0`);
  if (existsSync("/proc/sys/net/bridge")) await must(...inside(pathOf(netns), ["sysctl", "-q", "-w", ...keys]));
}
