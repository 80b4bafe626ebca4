// What a host, its kernel and the server each have as attached: in the end they must agree.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { call, type Cluster, type Json, must, run, until } from "./cluster.ts";

type Inventory = {
  /** In the journal, as `name state addresses`. */
  readonly journal: readonly string[];
  readonly server: readonly string[];
  /** Endpoint names on ports in the kernel. */
  readonly kernel: readonly string[];
};

async function inventory(cluster: Cluster, host: string): Promise<Inventory> {
  const endpoints: Json[] = (await cluster.api("GET", "/v1/endpoints?limit=1000")).body.items;
  return {
    journal: journalOf(readFileSync(join(cluster.folder, host, "attachments.ndjson"), "utf8")).toSorted(),
    server: endpoints
      .filter(({ spec }) => spec.host === host)
      .map(({ name, spec }) => `${name} attached ${spec.addresses.join()}`)
      .toSorted(),
    kernel: (await portsOf(cluster, host)).toSorted(),
  };
}

function journalOf(text: string): string[] {
  const entries = new Map<string, string>();
  for (const line of text.split("\n").slice(0, -1)) {
    const record: Json = JSON.parse(line);
    if (record.put !== undefined) {
      const { endpoint, state } = record.put;
      entries.set(endpoint.name, `${endpoint.name} ${state} ${endpoint.spec.addresses.join()}`);
    } else if (record.remove !== undefined) entries.delete(record.remove);
  }
  return [...entries.values()];
}

async function portsOf(cluster: Cluster, host: string): Promise<string[]> {
  const spaces = (await must("ip", "netns", "list")).split("\n").map((line) => line.split(" ")[0] ?? "");
  const ports: string[] = [];
  for (const space of spaces.filter((name) => name.startsWith(`${cluster.netnsOf(host)}-`))) {
    const { code, stdout } = await run("ip", "-n", space, "-j", "-d", "link", "show", "type", "veth");
    // The namespace of a network goes with its last endpoint.
    const links: Json[] = code === 0 ? JSON.parse(stdout) : [];
    for (const { ifalias } of links) {
      const name = /^weft:endpoint:(.*)$/.exec(ifalias ?? "")?.[1];
      if (name !== undefined) ports.push(name);
    }
  }
  return ports;
}

/**
 * Waits until the three agree, the host's agent lists the same, and a check of it finds nothing; gives the names.
 * Fails with what each says.
 */
export async function agreed(cluster: Cluster, host: string): Promise<readonly string[]> {
  let last: unknown;
  return until("journal, server and kernel agree", async () => {
    const seen = await inventory(cluster, host);
    const { items } = (await call(cluster.agentSocket(host), "GET", "/v1/attachments")).body;
    const listed: string[] = items.map((item: Json) => item.endpoint).toSorted();
    const names = seen.journal.map((line) => line.split(" ")[0] ?? "");
    last = { ...seen, listed };
    const isSame =
      seen.journal.join() === seen.server.join() &&
      names.join() === seen.kernel.join() &&
      names.toSorted().join() === listed.join();
    if (!isSame) return undefined;
    const { body } = await cluster.api("POST", "/v1/ipam/check", { host });
    last = { ...seen, listed, check: body };
    return body.findings?.length === 0 && body.checked.join() === host ? names : undefined;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${JSON.stringify(last, undefined, 1)}\n${cluster.log(host).slice(-3000)}`);
  });
}
