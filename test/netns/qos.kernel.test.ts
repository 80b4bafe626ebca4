// Limits on the real kernel: what goes through is measured with iperf3, in both directions, IPv4 and IPv6, on one host
// and across hosts, on a switched and a routed network, and while a limit changes. Rates are far below what any machine
// can do, so what is measured is the limit.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { after, before, describe, test, type TestContext } from "node:test";
import { Cluster, type Json, type Workload, call, must, run, until } from "./lab/cluster.ts";
import { pinging, stopPinging } from "./lab/pinging.ts";

const skip = process.getuid?.() === 0 ? false : "needs root";
const cluster = new Cluster(2);
/** What a limit counts of a TCP segment (an Ethernet frame), to what iperf3 counts: MTU 1450, timestamps. */
const FRAME_TO_PAYLOAD = { 4: (1450 + 14) / (1450 - 20 - 32), 6: (1450 + 14) / (1450 - 40 - 32) };
let port = 5200;

type Flow = { readonly from: Workload; readonly to: Workload; readonly family: 4 | 6 };
type Interval = { readonly startS: number; readonly endS: number; readonly mbit: number };

/** One TCP stream as its receiver saw it: megabits of frames in each tenth of a second. */
async function stream({ from, to, family }: Flow, seconds: number): Promise<readonly Interval[]> {
  const inside = (workload: Workload) => ["nsenter", `--net=/run/netns/${workload.netns}`] as const;
  const listening = String(++port);
  const [program, ...args] = inside(to);
  const server = spawn(program, [...args, "iperf3", "-s", "-1", "-J", "-i", "0.1", "-p", listening]);
  let text = "";
  server.stdout.setEncoding("utf8").on("data", (more: string) => (text += more));
  const ended = new Promise((resolve) => server.once("exit", resolve));
  try {
    await until(
      "iperf3 listens",
      async () => (await must(...inside(to), "ss", "-Hltn", `sport = :${listening}`)) !== "",
    );
    const address = to.addresses.find((ip) => ip.includes(":") === (family === 6)) ?? "";
    const client = ["iperf3", "-c", address, "-p", listening, "-t", String(seconds)];
    await must(...inside(from), ...client);
    await ended;
  } finally {
    server.kill();
  }
  const { intervals } = JSON.parse(text) as Json;
  return intervals.map(({ sum }: Json) => ({
    startS: sum.start,
    endS: sum.end,
    mbit: ((sum.bytes * 8) / 1e6) * FRAME_TO_PAYLOAD[family],
  }));
}

/** Mbit/s between two seconds of a stream. Parts are of any length: the last one, and where the machine was late. */
function average(intervals: readonly Interval[], fromS: number, untilS: number): number {
  const within = intervals.filter(({ startS }) => startS >= fromS && startS < untilS);
  const [first, last] = [within.at(0), within.at(-1)];
  assert(first !== undefined && last !== undefined, JSON.stringify(intervals));
  return within.reduce((sum, { mbit }) => sum + mbit, 0) / (last.endS - first.startS);
}

/** A busy machine may stop a stream for a while; a limit that is too low shows each time. */
const STREAMS = 4;

/** Five seconds, within 10 % of the limit: never more, and not less each time. */
async function assertLimited(t: TestContext, what: string, flow: Flow, limit: number): Promise<void> {
  const rates: number[] = [];
  for (let n = 0; n < STREAMS && !rates.some((rate) => rate >= limit * 0.9); n++) {
    const rate = average(await stream(flow, 5), 0, 5);
    t.diagnostic(`${what}: ${rate.toFixed(1)} of ${limit} Mbit/s`);
    assert(rate <= limit * 1.1, `${what}: ${rate} Mbit/s is above ${limit}`);
    rates.push(rate);
  }
  assert(Math.max(...rates) >= limit * 0.9, `${what}: ${rates.join(", ")} Mbit/s are below ${limit}`);
}

async function weft(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await cluster.weft(...args);
  assert.equal(code, 0, stderr);
}

async function queuesOf(workload: Workload): Promise<Json[]> {
  const { body } = await call(cluster.agentSocket(workload.host), "GET", "/v1/queues");
  return body.items.filter((queue: Json) => queue.endpoint === workload.endpoint);
}

async function directionsOf(workload: Workload): Promise<string[]> {
  return (await queuesOf(workload)).map(({ direction }) => direction);
}

function qdiscs(workload: Workload, vrf: string): Promise<string> {
  return must("tc", "-n", cluster.vrfNetns(workload.host, vrf), "qdisc", "show");
}

describe("limits on the real kernel", { skip }, () => {
  const made: Record<string, Workload> = {};
  const of = (name: string): Workload => made[name] ?? assert.fail(name);
  const flow = (from: string, to: string, family: 4 | 6): Flow => ({ from: of(from), to: of(to), family });

  before(async () => {
    await cluster.open();
    await weft(
      "network",
      "create",
      "lan",
      "--subnet",
      "10.8.0.0/24",
      "--subnet",
      "fd00:8::/64",
      "--inbound",
      "avg=45mbit",
    );
    const routed = ["--subnet", "10.7.0.0/16", "--host-prefix", "24", "--subnet", "fd00:7::/48", "--host-prefix", "64"];
    await weft("network", "create", "routed", ...routed, "--outbound", "avg=30mbit");
    await cluster.converged();
    // One direction each: acknowledgements are traffic, too, and would meet the other direction's limit.
    made["a"] = await cluster.attach("h1", "lan", "a", { qos: { outbound: { average: "40mbit" }, inbound: "none" } });
    made["f"] = await cluster.attach("h1", "lan", "f", { qos: { inbound: { average: "20mbit" } } });
    made["b"] = await cluster.attach("h1", "lan", "b");
    made["c"] = await cluster.attach("h2", "lan", "c");
    made["d"] = await cluster.attach("h1", "routed", "d");
    made["e"] = await cluster.attach("h2", "routed", "e", { qos: { outbound: { average: "25mbit" } } });
    await cluster.converged();
    for (const peer of ["b", "c", "f"])
      for (const ip of of(peer).addresses) await until(`a reaches ${peer}`, () => cluster.pings(of("a"), ip));
    for (const ip of of("e").addresses) await until("d reaches e", () => cluster.pings(of("d"), ip));
  });
  after(async () => {
    stopPinging();
    await cluster.close();
  });

  test("an attach answers with the limit in the kernel; nothing is made for who has none", async () => {
    assert.deepEqual(await directionsOf(of("a")), ["outbound"]);
    assert.deepEqual(await directionsOf(of("f")), ["inbound"]);
    assert.deepEqual(await directionsOf(of("d")), ["outbound"]);
    const shown = await qdiscs(of("a"), "lan");
    assert.match(shown, /tbf 776[67]: dev wp\w+ root .*rate 20Mbit burst 25000b/);
    assert.match(shown, /tbf 776[67]: dev wq\w+ root .*rate 40Mbit burst 50000b/);
    // What the network says, for who says nothing.
    assert.match(shown, /tbf 776[67]: dev wp\w+ root .*rate 45Mbit burst 56250b/);
    assert.equal(shown.match(/ingress ffff:/g)?.length, 1);
  });

  test("within 10 % over 5 s: both directions, both families, one host and across, switched and routed", async (t) => {
    const flows: readonly (readonly [string, Flow, number])[] = [
      ["outbound, one host, IPv4", flow("a", "b", 4), 40],
      ["inbound, across, IPv6", flow("c", "f", 6), 20],
      ["outbound, routed, across, IPv4", flow("d", "e", 4), 30],
    ];
    await Promise.all(flows.map(([what, each, limit]) => assertLimited(t, what, each, limit)));
    const more: readonly (readonly [string, Flow, number])[] = [
      ["outbound, across, IPv6", flow("a", "c", 6), 40],
      ["inbound, one host, IPv4", flow("b", "f", 4), 20],
      ["outbound, routed, across, IPv6", flow("e", "d", 6), 25],
    ];
    await Promise.all(more.map(([what, each, limit]) => assertLimited(t, what, each, limit)));
    for (const queue of [...(await queuesOf(of("a"))), ...(await queuesOf(of("f")))]) {
      assert(queue.bytes > 5e6 && queue.packets > 3000, JSON.stringify(queue));
      assert(queue.backlog >= 0 && queue.drops >= 0);
    }
  });

  test("a limit changes live, for an endpoint and for a network; packets on their way arrive", async (t) => {
    const since = performance.now();
    const running = stream(flow("d", "e", 4), 6);
    const stop = pinging(of("b").netns, of("f").addresses[0] ?? "", 10);
    await weft("network", "edit", "routed", "--outbound", "avg=10mbit", "--wait");
    const changedS = (performance.now() - since) / 1_000;
    // Its bucket grows. One that shrinks is a new queue, and the kernel drops what comes in the moment between the two.
    await weft("endpoint", "set", "f", "--inbound", "avg=35mbit,burst=100kB", "--wait");
    assert.equal(await stop(), 0);
    await weft("endpoint", "set", "f", "--inbound", "avg=35mbit,peak=70mbit,burst=100kB", "--wait");
    assert.match(await qdiscs(of("f"), "lan"), /dev wp\w+ root .*rate 35Mbit burst (99999|100000)b peakrate 70Mbit/);
    const intervals = await running;
    if (changedS < 4) {
      const rate = average(intervals, changedS + 1, 6);
      t.diagnostic(`network, a stream that runs: ${rate.toFixed(1)} of 10 Mbit/s`);
      assert(rate <= 11, `${rate} Mbit/s`);
    }
    await assertLimited(t, "network", flow("d", "e", 4), 10);
    await assertLimited(t, "endpoint", flow("b", "f", 6), 35);
    await weft("endpoint", "set", "f", "--inbound", "inherit", "--wait");
    await weft("endpoint", "set", "a", "--outbound", "inherit", "--wait");
    assert.match(await qdiscs(of("f"), "lan"), /dev wp\w+ root .*rate 45Mbit/);
    assert.deepEqual(await directionsOf(of("a")), []);
  });

  test("a burst goes at the peak, what follows at the average", async (t) => {
    await weft("endpoint", "set", "a", "--inbound", "avg=8mbit,peak=24mbit,burst=2MB", "--wait");
    // 2 MB drain in a second at 24 - 8 Mbit/s: three seconds carry 16 + 3 * 8 Mbit.
    const [burst, whole] = [16, 16 + 3 * 8];
    let most = 0;
    for (let n = 0; n < STREAMS && most < whole * 0.85; n++) {
      const intervals = await stream(flow("b", "a", 4), 3);
      const [first, all] = [average(intervals, 0.1, 0.8), average(intervals, 0, 3) * 3];
      t.diagnostic(`peak ${first.toFixed(1)} of 24 Mbit/s, ${all.toFixed(1)} of ${whole} Mbit in all`);
      assert(first <= 24 * 1.1, `${first} Mbit/s at the peak`);
      assert(all <= whole * 1.1, `${all} Mbit in three seconds`);
      most = Math.max(most, all);
      // The bucket fills again.
      if (most < whole * 0.85) await setTimeout((burst / 8) * 1_000);
    }
    assert(most >= whole * 0.85, `${most} Mbit in three seconds`);
  });

  test("what somebody removes is put back, and an agent that was killed changes nothing", async () => {
    const ns = cluster.vrfNetns("h1", "lan");
    await weft("endpoint", "set", "a", "--outbound", "avg=15mbit", "--wait");
    const shaper = (await must("ip", "-n", ns, "-br", "link", "show", "type", "ifb")).split(/\s/)[0] ?? "";
    const state = async () =>
      (await qdiscs(of("a"), "lan"))
        .split("\n")
        .filter((line) => /tbf|ingress/.test(line))
        .sort();
    const whole = await state();
    assert.equal(whole.length, 5, whole.join("\n"));
    for (const damage of [
      ["tc", "-n", ns, "qdisc", "del", "dev", shaper, "root"],
      ["tc", "-n", ns, "qdisc", "del", "dev", shaper.replace("wq", "wp"), "ingress"],
      ["ip", "-n", ns, "link", "del", shaper],
    ]) {
      await must(...damage);
      await until(`repair of ${damage.join(" ")}`, async () => (await state()).join() === whole.join()).catch(
        (error: unknown) => {
          throw new Error(`${String(error)}\n${cluster.log("h1").slice(-2000)}`);
        },
      );
      await until("packets pass again", () => cluster.pings(of("a"), of("b").addresses[0] ?? ""));
    }
    // With the indexes of the links: what is made anew has another.
    const links = () => must("ip", "-n", ns, "-o", "link", "show", "type", "ifb");
    const before = [await links(), await state()];
    await cluster.kill("h1");
    await cluster.startAgent("h1");
    await cluster.converged();
    assert.deepEqual([await links(), await state()], before, "nothing was made anew");
  });

  test("show says the limits and where they come from; a detach leaves nothing", async () => {
    const { code, stdout, stderr } = await cluster.weft("endpoint", "show", "a");
    assert.equal(code, 0, stderr);
    assert.match(stdout, /Inbound: +8mbit, peak 24mbit, burst 2MB \(from endpoint\)\n/);
    assert.match(stderr, /the counters of its limits are read on its host: run this as root on h1/);
    process.env["WEFT_AGENT_SOCKET"] = cluster.agentSocket("h1");
    const onHost = await cluster.weft("endpoint", "show", "a");
    delete process.env["WEFT_AGENT_SOCKET"];
    assert.match(onHost.stdout, /Inbound so far: +\d+ packets, \S+B; \d+ dropped, \S+B waiting\n/);
    assert.match(onHost.stdout, /Outbound: +15mbit \(from endpoint\)\nOutbound so far: +\d+ packets/);
    assert.equal(onHost.stderr, "");
    for (const name of ["a", "b", "f"]) {
      const path = `/v1/attachments/${of(name).endpoint}`;
      assert.equal((await call(cluster.agentSocket("h1"), "DELETE", path)).status, 204);
    }
    await cluster.converged();
    const ns = cluster.vrfNetns("h1", "lan");
    await until("nothing of it is left", async () => {
      const left = await run("ip", "-n", ns, "link", "show", "type", "ifb");
      return left.stdout === "" && !/tbf|ingress/.test((await run("tc", "-n", ns, "qdisc", "show")).stdout);
    });
  });
});
