// What belongs to a flow, on the real kernel: answers, fragments, errors, the end of a connection, and what happens
// when no more flows can be remembered. Switched and routed, in both families; without connection tracking.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { BOTH_DATAPATHS, call, Cluster, must, OUTSIDE, run, until, type Workload } from "./lab/cluster.ts";
import * as frames from "./lab/frames.ts";
import { Interface } from "./lab/interface.ts";

type Station = Workload & { readonly wire: Interface };
type Family = 4 | 6;

const ASKS = [{ direction: "out", action: "allow", protocol: "all" }];
const ANSWERS = [
  { direction: "in", action: "allow", protocol: "udp", ports: [53] },
  { direction: "in", action: "allow", protocol: "tcp", ports: [80] },
  { direction: "in", action: "allow", protocol: "icmp" },
  { direction: "in", action: "allow", protocol: "icmpv6" },
];
/** What a set of flows has room for. */
const ROOM = 65_536;

describe("flows that groups allowed", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const stations = new Map<string, Station>();
  const of = (name: string) => stations.get(name) ?? assert.fail(`${name} is not attached`);
  let tags = 0;
  const newTag = () => `<flow${String(++tags).padStart(6, "0")}>`;

  const put = async (path: string, spec: unknown) => {
    const { status, body } = await cluster.api("PUT", path, { spec });
    assert(status < 300, `${path}: ${JSON.stringify(body)}`);
  };
  const station = async (host: string, network: string, name: string, group: string | undefined) => {
    const groups = group === undefined ? {} : { securityGroups: [group] };
    const workload = await cluster.attach(host, network, name, groups);
    stations.set(name, { ...workload, wire: await Interface.in(workload.netns, "eth0") });
  };
  const addressOf = ({ addresses }: Station, family: Family) =>
    addresses.find((text) => text.includes(":") === (family === 6)) ?? "";
  const ends = (from: Station, to: Station, family: Family): frames.Ends => ({
    fromMac: from.mac,
    toMac: to.mac,
    from: addressOf(from, family),
    to: addressOf(to, family),
  });
  /** Whether the tag comes, of frames sent before a packet that is allowed: nothing overtakes on a pair. */
  const arrives = async (from: Station, to: Station, list: readonly Buffer[], tag: string) => {
    const fence = newTag();
    for (const frame of list) from.wire.send(frame);
    await until("the fence arrives", async () => {
      // Of the side that may begin, a question; of the other, the answer to one.
      const isAsking = [of("a").netns, of("d").netns].includes(from.netns);
      if (!isAsking) to.wire.send(frames.udp(ends(to, from, 4), 53, fence, 50_000));
      from.wire.send(
        isAsking ? frames.udp(ends(from, to, 4), 53, fence) : frames.udp(ends(from, to, 4), 50_000, fence, 53),
      );
      return to.wire.has(fence);
    });
    return to.wire.has(tag);
  };

  before(async () => {
    await cluster.open();
    for (const [name, spec] of Object.entries(BOTH_DATAPATHS)) await put(`/v1/networks/${name}`, spec);
    await put("/v1/securitygroups/asks", { rules: ASKS });
    await put("/v1/securitygroups/answers", { rules: ANSWERS });
    await cluster.converged();
    await station("h1", "switched", "a", "asks");
    await station("h1", "switched", "b", "answers");
    await station("h2", "switched", "c", "answers");
    await station("h1", "switched", "d", "asks");
    await station("h1", "routed", "ra", "asks");
    await station("h2", "routed", "rc", "answers");
    await cluster.converged();
  });
  after(async () => {
    for (const { wire } of stations.values()) wire.close();
    await cluster.close();
  });

  for (const [from, to] of [
    ["a", "b"],
    ["a", "c"],
    ["ra", "rc"],
  ] as const) {
    test(`${from} asks ${to}: answers come in pieces, too, and nothing begins the other way`, async () => {
      for (const family of [4, 6] as const) {
        const [there, back] = [addressOf(of(to), family), addressOf(of(from), family)];
        for (const size of ["56", "4000"]) {
          const { code, stdout } = await ping(of(from), "-c", "2", "-i", "0.05", "-W", "2", "-s", size, there);
          assert.equal(code, 0, `IPv${family}, ${size} bytes: ${stdout}`);
        }
        for (const size of ["56", "4000"]) {
          const { code, stdout } = await ping(of(to), "-c", "1", "-W", "0.3", "-s", size, back);
          assert.notEqual(code, 0, `IPv${family}, the other way: ${stdout}`);
        }
      }
    });
  }

  test("fragments pass only behind a first one that was allowed", async () => {
    for (const to of [of("b"), of("c")]) {
      for (const family of [4, 6] as const) {
        const by = ends(of("a"), to, family);
        const tag = [newTag(), newTag(), newTag()] as const;
        const what = `IPv${family} to ${to.host}`;
        // Fragments of a datagram have one number in these frames: a lonely one goes first.
        const [, lonely] = frames.udpInPieces({ ...by, from: by.from }, 53, tag[0]);
        assert.equal(await arrives(of("a"), to, [lonely], tag[0]), false, `${what}: without its first`);
        assert.equal(await arrives(of("a"), to, frames.udpInPieces(by, 54, tag[1]), tag[1]), false, `${what}: denied`);
        assert.equal(await arrives(of("a"), to, frames.udpInPieces(by, 53, tag[2]), tag[2]), true, `${what}: allowed`);
      }
    }
  });

  test("an error passes against the flow that it tells of, and no other", async () => {
    const a = of("a");
    for (const to of [of("b"), of("c")]) {
      for (const family of [4, 6] as const) {
        const what = `IPv${family} from ${to.host}`;
        const asked = newTag();
        // Nobody listens: the workload's own kernel says so, and quotes what it got.
        const question = frames.udp(ends(a, to, family), 53, asked, 41_000 + family);
        await until(`${what}: an error`, async () => {
          a.wire.send(question);
          return a.wire.has(asked);
        });
        const forged = newTag();
        const never = frames.udp(ends(a, to, family), 53, forged, 42_000 + family);
        const error = frames.unreachable(ends(to, a, family), never);
        assert.equal(await arrives(to, a, [error], forged), false, `${what}: of a flow that never was`);
      }
    }
  });

  test("the gateway may say that a packet went too far", async () => {
    for (const [family, words] of [
      [4, "Time to live exceeded"],
      [6, "Hop limit"],
    ] as const) {
      const to = addressOf(of("rc"), family);
      await until(`IPv${family}: the gateway's error`, async () =>
        (await ping(of("ra"), "-c", "1", "-W", "0.3", "-t", "1", to)).stdout.includes(words),
      );
    }
  });

  test("a connection is remembered for long once it has data, and not for long once it is closed", async () => {
    const [a, b] = [of("a"), of("b")];
    const { fin, psh, ack } = frames.FLAGS;
    // Neither kernel knows of the connection, and both would end it.
    for (const { netns } of [a, b]) await quietly(netns);
    for (const family of [4, 6] as const) {
      const [by, back] = [ends(a, b, family), ends(b, a, family)];
      const port = 43_000 + family;
      const left = async () => {
        const table = await inVrf("nft", "list", "set", "bridge", "weft", `received_tcp${family}`);
        // nft shows raw keys as numbers; ports of this connection stand at its end.
        const element = table.split("\n").find((line) => line.includes(`0x${port.toString(16)} . 0x50 `));
        return element === undefined ? undefined : secondsIn(/expires (\S+?)[,\s]/.exec(`${element} `)?.[1] ?? "");
      };
      const within = async (what: string, least: number, most: number) =>
        await until(`${what}, IPv${family}`, async () => {
          const seconds = await left();
          return seconds !== undefined && seconds > least && seconds <= most;
        });
      a.wire.send(frames.tcp(by, 80, newTag(), { sourcePort: port }));
      await within("opening", 0, 60);
      b.wire.send(frames.tcp(back, port, newTag(), { sourcePort: 80, flags: psh | ack }));
      await within("open", 80_000, 86_400);
      a.wire.send(frames.tcp(by, 80, newTag(), { sourcePort: port, flags: fin | ack }));
      await within("closing", 0, 60);
      const tag = newTag();
      b.wire.send(frames.tcp(back, port, tag, { sourcePort: 80, flags: ack }));
      await until("the last acknowledgement", async () => a.wire.has(tag));
      await within("closed", 0, 60);
    }
  });

  test("what hides its ports behind options is dropped and counted", async () => {
    const [a, c] = [of("a"), of("c")];
    const tag = newTag();
    const hidden = frames.withOptions(frames.udp(ends(a, c, 4), 53, tag));
    assert.equal(await arrives(a, c, [hidden], tag), false);
    assert((await dropsOf(a))["header-options"] !== undefined, JSON.stringify(await dropsOf(a)));
  });

  test("what is outside answers, under the host's address, and does not begin", async () => {
    const ra = of("ra");
    await until("an answer from outside", () => cluster.pings(ra, OUTSIDE));
    assert.equal(await cluster.pings(of("rc"), OUTSIDE), false, "who may not begin");
  });

  /** A flow from one to another that is remembered; gives the next frame of it. */
  const going = async (from: Station, to: Station, port: number) => {
    const next = (tag: string) => frames.udp(ends(from, to, 4), 53, tag, port);
    const first = newTag();
    await until("a flow from before", async () => {
      from.wire.send(next(first));
      return to.wire.has(first);
    });
    return next;
  };

  test("who has filled a set loses flows to those who have few, and they lose none", async () => {
    const [a, c, d] = [of("a"), of("c"), of("d")];
    const again = await going(a, c, 44_000);
    const bytes = Buffer.from(addressOf(d, 4).split(".").map(Number));
    const filler = `0x${bytes.readUInt32BE().toString(16)}`;
    // The agent would make room in the middle.
    signal("h1", "SIGSTOP");
    try {
      let filled = 0;
      for (const step of [1000, 100, 10, 1]) {
        for (let isRoom = true; isRoom; filled += isRoom ? step : 0) {
          const some = Array.from({ length: step }, (_, n) => `${filler} . 0x${(filled + n).toString(16)} . 0x1 . 0x1`);
          const into = ["nft", `add element bridge weft sent_udp4 { ${some.join(" timeout 1h, ")} timeout 1h }`];
          isRoom = (await run("ip", "netns", "exec", cluster.vrfNetns("h1", "switched"), ...into)).code === 0;
        }
      }
      assert(filled > ROOM - 1000 && filled < ROOM, `${filled}`);
      const [late, tag] = [newTag(), newTag()];
      assert.equal(await arrives(a, c, [frames.udp(ends(a, c, 4), 53, late, 44_001)], late), false, "a new flow");
      assert.equal(await arrives(a, c, [again(tag)], tag), true, "one from before");
    } finally {
      signal("h1", "SIGCONT");
    }
    assert((await dropsOf(a))["too-many-flows"] !== undefined);
    await going(a, c, 44_002);
    const list = await inVrf("nft", "list", "set", "bridge", "weft", "sent_udp4");
    const left = list.split(filler).length - 1;
    assert(left > ROOM / 2 - 1000 && left <= ROOM / 2, `${left} are left to who had most`);
    // 44,000 in hexadecimal digits.
    assert.match(list, /0xabe0 \. 0x35 /, "a flow of who had few");
    await inVrf("nft", "flush", "set", "bridge", "weft", "sent_udp4");
  });

  test("who begins too many at once has to wait; other ports, and what was begun, do not", async () => {
    const [a, c, d] = [of("a"), of("c"), of("d")];
    const again = await going(a, c, 45_000);
    const refused = async () => (await dropsOf(a))["too-many-flows"] ?? 0;
    const before = await refused();
    const flood = (from: Station) => {
      for (let n = 0; n < 20_000; n++) {
        const frame = frames.udp(ends(from, c, 4), 53, "", 1024 + n);
        while (!from.wire.send(frame));
      }
    };
    flood(a);
    await until("refusals", async () => (await refused()) > before + 5000);
    const [tag, other] = [newTag(), newTag()];
    assert.equal(await arrives(a, c, [again(tag)], tag), true, "one from before");
    // What one port may send is less than what another may get.
    assert.equal(await arrives(d, c, [frames.udp(ends(d, c, 4), 53, other, 45_001)], other), true, "another port's");
    assert.equal((await dropsOf(d))["too-many-flows"], undefined);
    assert.equal((await dropsOf(c))["too-many-flows"], undefined);
    await going(a, c, 45_002);
    // Nothing asks what a port without groups begins, and a receiver's rules may allow it all.
    await station("h1", "switched", "e", undefined);
    flood(of("e"));
    await until("refusals where they arrive", async () => (await dropsOf(c))["too-many-flows"] !== undefined);
  });

  test("fragments of one port do not fill what all are remembered in", async () => {
    const [a, c] = [of("a"), of("c")];
    const frame = frames.udpInPieces(ends(a, c, 4), 53, newTag())[0];
    await going(a, c, 46_000);
    const since = performance.now();
    // What a full bucket holds, and what comes into it meanwhile.
    const most = () => 4_000 + 4 * (performance.now() - since);
    let sent = 0;
    for (let n = 0; n < 0x1_0000 && (n < 30_000 || n * 0.8 < most()); n++, sent++) {
      // Each of another datagram.
      frame.writeUInt16BE(n, 18);
      frames.fixSum(frame);
      while (!a.wire.send(frame));
    }
    const set = await inVrf("nft", "list", "set", "bridge", "weft", "pieces_out4");
    const count = set.split("expires").length - 1;
    assert(count > 1000 && count <= most() && count < sent, `${count} fragments of ${sent} are remembered`);
  });

  function signal(name: string, which: NodeJS.Signals): void {
    process.kill(cluster.pidOf(name) ?? assert.fail(`${name} does not run`), which);
  }
  async function inVrf(...argv: readonly string[]): Promise<string> {
    const ran = await run("ip", "netns", "exec", cluster.vrfNetns("h1", "switched"), ...argv);
    return ran.stdout;
  }
  async function dropsOf({ host, endpoint }: Station): Promise<Record<string, number>> {
    const { body } = await call(cluster.agentSocket(host), "GET", "/v1/counters");
    const items = body.items as { endpoint: string; drops: Record<string, number> }[];
    return items.find((one) => one.endpoint === endpoint)?.drops ?? {};
  }
});

/** A workload that answers nothing on port 80, and hears no answers from one. */
async function quietly(netns: string): Promise<void> {
  const chain = "{ type filter hook input priority 0; tcp dport 80 drop; tcp sport 80 drop; }";
  await must("ip", "netns", "exec", netns, "nft", `table inet quiet { chain input ${chain}\n}`);
}

function ping(from: Workload, ...args: readonly string[]) {
  return run("ip", "netns", "exec", from.netns, "ping", "-n", ...args);
}

/** nft's times: `23h59m58s120ms`. */
function secondsIn(text: string): number {
  const unit: Readonly<Record<string, number>> = { d: 86_400, h: 3600, m: 60, s: 1, ms: 0.001 };
  return [...text.matchAll(/(\d+)(ms|[dhms])/g)].reduce((sum, [, n, of = ""]) => sum + Number(n) * (unit[of] ?? 0), 0);
}
