// Many ADD and DEL pairs while processes are killed at random: the shim in the middle of a call, as by a runtime that
// dies; the agent; a container's namespace before its DEL. It collects what must never happen; the caller checks what
// is left.
import { setTimeout } from "node:timers/promises";
import { type Cluster, must, run } from "./cluster.ts";
import { plugin, type Told } from "./plugin.ts";

export type SoakOptions = {
  readonly host: string;
  readonly network: string;
  readonly pairs: number;
  readonly workers: number;
  /** 0 <= random() < 1. */
  readonly random: () => number;
  /** From one death of the agent to the next, about. */
  readonly agentLifeMs: number;
};
export type Soaked = {
  readonly pairs: number;
  readonly shimsKilled: number;
  readonly agentsKilled: number;
  /** Answers of "try again later": the agent was away. */
  readonly retries: number;
  readonly failures: readonly string[];
};

type Tally = {
  pairs: number;
  shimsKilled: number;
  agentsKilled: number;
  retries: number;
  failures: string[];
  /** Who has which address at the moment, of all workers. */
  readonly owners: Map<string, string>;
};

export async function soak(cluster: Cluster, options: SoakOptions): Promise<Soaked> {
  const tally = {
    pairs: 0,
    shimsKilled: 0,
    agentsKilled: 0,
    retries: 0,
    failures: [],
    owners: new Map<string, string>(),
  };
  const workers = Array.from({ length: options.workers }, (_, n) => new Worker(cluster, options, tally, n));
  let isOver = false;
  const killer = killOn(cluster, options, tally, () => isOver);
  try {
    await Promise.all(workers.map((worker) => worker.run()));
  } finally {
    isOver = true;
    await killer;
  }
  return tally;
}

async function killOn(cluster: Cluster, options: SoakOptions, tally: Tally, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    for (let waitedMs = 0; waitedMs < options.agentLifeMs * (0.5 + options.random()) && !isOver(); waitedMs += 20)
      await setTimeout(20);
    if (isOver()) return;
    await cluster.kill(options.host);
    tally.agentsKilled++;
    await cluster.startAgent(options.host);
  }
}

class Worker {
  readonly #cluster: Cluster;
  readonly #options: SoakOptions;
  readonly #tally: Tally;
  readonly #netns: string;
  readonly #n: number;

  constructor(cluster: Cluster, options: SoakOptions, tally: Tally, n: number) {
    this.#cluster = cluster;
    this.#options = options;
    this.#tally = tally;
    this.#n = n;
    this.#netns = `${cluster.id}-soak${n}-${options.host}`;
  }

  async run(): Promise<void> {
    await must("ip", "netns", "add", this.#netns);
    for (let i = 0; this.#tally.pairs < this.#options.pairs; i++) {
      // Often the same id again, as a runtime that starts a container again.
      await this.#pair(`soak-${this.#options.host}-${this.#n}-${i % 3}`);
      this.#tally.pairs++;
    }
    await run("ip", "netns", "delete", this.#netns);
  }

  async #pair(container: string): Promise<void> {
    const { random } = this.#options;
    const told = await this.#add(container);
    const address: string | undefined = told?.answer?.ips?.[0]?.address;
    if (address !== undefined) {
      const other = this.#tally.owners.get(address);
      if (other !== undefined) this.#tally.failures.push(`${address} is ${other}'s and ${container}'s`);
      this.#tally.owners.set(address, container);
      const shown = await run("ip", "-n", this.#netns, "-o", "address", "show", "dev", "eth0");
      if (!shown.stdout.includes(` ${address} `))
        this.#tally.failures.push(`${container} has no ${address}: ${shown.stdout}${shown.stderr}`);
      this.#tally.owners.delete(address);
    }
    const isGone = random() < 0.1;
    if (isGone) await must("ip", "netns", "delete", this.#netns);
    for (;;) {
      const { code, answer, output } = await this.#call("DEL", container);
      if (code === 0) break;
      if (code !== -1 && answer?.code !== 11) this.#tally.failures.push(`DEL ${container}: ${output}`);
      await this.#retry();
    }
    if (isGone) await must("ip", "netns", "add", this.#netns);
  }

  /** What a successful ADD answered; undefined if its runtime gave up, which it does after some attempts. */
  async #add(container: string): Promise<Told | undefined> {
    const { random } = this.#options;
    for (;;) {
      const told = await this.#call("ADD", container);
      if (told.code === 0) return told;
      if (told.code !== -1 && told.answer?.code !== 11) this.#tally.failures.push(`ADD ${container}: ${told.output}`);
      if (random() < 0.3) return undefined;
      await this.#retry();
    }
  }

  #retry(): Promise<void> {
    this.#tally.retries++;
    return setTimeout(20);
  }

  async #call(command: string, container: string): Promise<Told> {
    const { host, network, random } = this.#options;
    const isDoomed = random() < 0.1;
    const told = await plugin(this.#cluster.agentSocket(host), {
      command,
      container,
      ifname: "eth0",
      netns: `/run/netns/${this.#netns}`,
      config: { cniVersion: "1.1.0", name: "soak", type: "weft", network },
      ...(isDoomed ? { killAfterMs: random() * 6 } : {}),
    });
    if (told.code === -1) this.#tally.shimsKilled++;
    return told;
  }
}
