// A cluster for a bench, and namespaces beside it: what the kernel tests build with, removed when the bench ends, also
// when it fails or is interrupted. No packet is sent outside these namespaces.
import { once } from "node:events";
import { existsSync } from "node:fs";
import { Cluster, must } from "../../test/netns/lab/cluster.ts";

export async function withCluster(hostCount: number, work: (cluster: Cluster) => Promise<void>): Promise<void> {
  const cluster = new Cluster(hostCount);
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

/** A namespace of the cluster's, whose bridges do not pass frames through the firewall (by default they do). */
export async function addNamespace(cluster: Cluster, name: string): Promise<string> {
  const netns = await cluster.addWorkloadNetns(name);
  const keys = ["iptables", "ip6tables", "arptables"].map((table) => `net.bridge.bridge-nf-call-${table}=0`);
  if (existsSync("/proc/sys/net/bridge")) await must(...inside(pathOf(netns), ["sysctl", "-q", "-w", ...keys]));
  return netns;
}
