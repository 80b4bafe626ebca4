// A cluster whose networks are converted under traffic: at 1 kHz datagrams and answers in both families, broadcasts and
// a TCP stream, between all hosts. What tests of conversions share.
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { BOTH_DATAPATHS, type Cluster, type Json, must, until, type Workload } from "./cluster.ts";
import { Traffic } from "./traffic.ts";

/** How often each conversion is made. */
export const RUNS = Number(process.env["WEFT_CONVERT_RUNS"] ?? 1);

/** A switched and a routed network, each in a VRF of its own. */
export type Which = keyof typeof BOTH_DATAPATHS;
export const BOTH = Object.keys(BOTH_DATAPATHS) as readonly Which[];

export class Converting {
  readonly cluster: Cluster;
  readonly #workloads = new Map<string, readonly Workload[]>();
  readonly #traffic = new Map<string, Traffic>();

  constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  /** Networks with a workload on each host, which reach each other. */
  async open(more: object = {}): Promise<void> {
    const { cluster } = this;
    await cluster.open();
    for (const name of BOTH) {
      const { status, body } = await cluster.api("PUT", `/v1/networks/${name}`, {
        spec: { ...BOTH_DATAPATHS[name], ...more },
      });
      assert.equal(status, 201, JSON.stringify(body));
    }
    await cluster.converged();
    const opened = BOTH.map(async (name) => {
      const own = await Promise.all(cluster.hosts.map((host) => cluster.attach(host, name, `${name}-${host}`)));
      this.#workloads.set(name, own);
      this.#traffic.set(name, await Traffic.of(cluster, name));
      for (const a of own) for (const b of own) for (const to of b.addresses) await cluster.reaches(a, to);
    });
    await Promise.all(opened);
  }

  async close(): Promise<void> {
    this.kill();
    await this.cluster.close();
  }

  of(network: Which): readonly Workload[] {
    return this.#workloads.get(network) ?? assert.fail(network);
  }

  #trafficOf(network: Which): Traffic {
    return this.#traffic.get(network) ?? assert.fail(network);
  }

  /** Datagrams of `size` bytes. */
  async start(network: Which, size?: number): Promise<void> {
    const own = this.of(network);
    const [a, b, c = b] = own as [Workload, Workload, Workload?];
    const traffic = this.#trafficOf(network);
    const all = [traffic.ask(a, b, size), traffic.give(a, c)];
    if (c !== b) all.push(traffic.ask(c, a, size));
    const others = own.filter((one) => one !== b);
    if (network === "switched") all.push(traffic.shout(b, "10.7.255.255", others));
    await Promise.all(all);
    await setTimeout(200);
  }

  /** Fails if anything was lost or came twice, if a stream stood still, or if nothing has passed. */
  async end(network: Which): Promise<void> {
    await setTimeout(200);
    const told = await this.#trafficOf(network).end();
    for (const [what, text] of told) assert.match(text, /[1-9]\d{2}/, what);
    if (RUNS > 1) console.log([...told].map(([what, text]) => `${what}: ${text}`).join("\n"));
  }

  /** Ends what a test that failed has left. */
  kill(): void {
    for (const traffic of this.#traffic.values()) traffic.kill();
  }

  async under(network: Which, during: () => Promise<void>, size?: number): Promise<void> {
    for (let run = 0; run < RUNS; run++) {
      await this.start(network, size);
      await during();
      await this.end(network);
    }
  }

  async conversions(): Promise<Json[]> {
    return (await this.cluster.api("GET", "/v1/conversions")).body.items;
  }

  /** That of the network's VRF. */
  async conversion(network: Which): Promise<Json> {
    return (await this.conversions()).find(({ name }: Json) => name === network);
  }

  async spec(path: string): Promise<Json> {
    return (await this.cluster.api("GET", path)).body.spec;
  }

  /** Begins a conversion as a person would. */
  async edit(path: string, fields: object): Promise<void> {
    const { status, body } = await this.cluster.api("PUT", path, { spec: { ...(await this.spec(path)), ...fields } });
    assert.equal(status, 200, JSON.stringify(body));
    const begun = (await this.conversions()).filter(({ revision }: Json) => revision === body.revision);
    assert.equal(begun.length, 1, `${path} ${JSON.stringify(fields)} begins a conversion`);
  }

  async over(network: Which): Promise<void> {
    await until("the conversion is over", async () => (await this.conversion(network)) === undefined, 60_000).catch(
      async (error: unknown) => assert.fail(`${String(error)}: ${JSON.stringify(await this.cluster.status())}`),
    );
    await this.cluster.converged();
  }

  async change(network: Which, path: string, fields: object): Promise<void> {
    await this.edit(path, fields);
    await this.over(network);
  }

  /** VXLAN devices of the VRF, with their port and VNI: `wx4096 4789 4096`. */
  async devices(host: string, network: Which): Promise<readonly string[]> {
    const text = await must(
      "ip",
      "-n",
      this.cluster.vrfNetns(host, network),
      "-d",
      "-o",
      "link",
      "show",
      "type",
      "vxlan",
    );
    return text.split("\n").flatMap((line) => {
      const [, name, vni, port] = /: ([^:@ ]+)\S* .* vxlan id (\d+) .* dstport (\d+)/.exec(line) ?? [];
      return name === undefined ? [] : [`${name} ${port} ${vni}`];
    });
  }
}
