// A host whose network card gets the checksums inside tunnels wrong: real agents, and a card that does that.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type TunnelDriverName, packetsText } from "../../../src/model/driver.ts";
import { FaultyCard } from "./card.ts";
import { type Workload, Cluster, until } from "./cluster.ts";
import { checksums, setChecksums } from "./interface.ts";
import { connects } from "./sockets.ts";

const OFFLOADS = ["auto", "on", "off"] as const;
type Offload = (typeof OFFLOADS)[number];
const VNIS: Readonly<Record<Offload, number>> = { auto: 101, on: 102, off: 103 };
const PEER: Readonly<Record<string, number>> = { h1: 2, h2: 1 };

/** `driver` is one whose devices h1 and h2 make on this kernel. */
export function offloadTests(driver: TunnelDriverName, skip: string | false = false): void {
  void describe(`checksums inside tunnels, driver ${driver}`, { skip }, () => {
    const cluster = new Cluster(2);
    const ends = new Map<Offload, readonly [Workload, Workload]>();
    let card: FaultyCard | undefined;
    /** The network of a setting. */
    const of = (offload: Offload) => `sums-${offload}`;
    /** Its tunnel to the other host. */
    const deviceOf = (host: string, offload: Offload) =>
      driver === "vxlan" ? `wx${VNIS[offload]}` : `gt${VNIS[offload]}-${PEER[host]}`;
    const tx = (host: string, offload: Offload) =>
      checksums(cluster.vrfNetns(host, of(offload)), deviceOf(host, offload));
    const both = (offload: Offload) => ends.get(offload) ?? assert.fail();
    /** Whether TCP passes, from h1 and from h2. */
    const talk = async (offload: Offload): Promise<readonly boolean[]> => {
      const [one, two] = both(offload);
      return await Promise.all([connects(one, two), connects(two, one)]);
    };
    const passes = (offload: Offload) =>
      until(`TCP passes with ${offload}`, async () => (await talk(offload)).every(Boolean));
    const told = async (host: string): Promise<string> => {
      const { hosts } = await cluster.status();
      return hosts.find((one) => one.host === host)?.status?.conditions.join("\n") ?? "";
    };
    const becomes = (host: string, offload: Offload, wanted: "on" | "off") =>
      until(`${host} has it ${wanted}`, async () => tx(host, offload) === wanted);

    before(async () => {
      await cluster.open();
      card = await FaultyCard.in(cluster, "h1");
      for (const offload of OFFLOADS) {
        const spec = { ipam: "global", subnets: [{ cidr: "10.7.0.0/16" }], vni: VNIS[offload], driver, offload };
        const { status, body } = await cluster.api("PUT", `/v1/networks/${of(offload)}`, { spec });
        assert.equal(status, 201, JSON.stringify(body));
      }
      await Promise.all(
        OFFLOADS.map(async (offload) => {
          const own = ["h1", "h2"].map((host) => cluster.attach(host, of(offload), `${offload}-${host}`));
          ends.set(offload, (await Promise.all(own)) as [Workload, Workload]);
        }),
      );
      await cluster.converged();
    });
    after(async () => {
      card?.close();
      await cluster.close();
    });

    test("off: the kernel writes them from the start, on all hosts, and TCP passes", async () => {
      assert.deepEqual([tx("h1", "off"), tx("h2", "off")], ["off", "off"]);
      await passes("off");
    });

    test("auto: the host whose card is at fault, and no other, turns it off, says so, and TCP passes", async () => {
      await becomes("h1", "auto", "off");
      await passes("auto");
      assert.equal(tx("h2", "auto"), "on");
      const said = await until("the host says so", async () => (await told("h1")).includes("checksums") && told("h1"));
      const [auto, on, off] = OFFLOADS.map((offload) => deviceOf("h1", offload));
      const inside = packetsText(driver, 4789);
      assert.match(
        said,
        new RegExp(`eth0 gets checksums inside ${inside} wrong: of datagrams to h2, those whose checksum`),
      );
      assert.match(said, new RegExp(`it is off on ${auto}, ${off}, and on at ${on}: TCP and UDP do not pass there`));
      assert.doesNotMatch(await told("h2"), /checksums/);
    });

    test("on: it stays on, pings pass, and TCP does not", async () => {
      const [one, two] = both("on");
      await cluster.reaches(one, two.addresses[0] ?? "");
      assert.deepEqual(await talk("on"), [false, false]);
      assert.deepEqual([tx("h1", "on"), tx("h2", "on")], ["on", "on"]);
    });

    test("what another program turns on or off again is repaired", async () => {
      setChecksums(cluster.vrfNetns("h1", of("auto")), deviceOf("h1", "auto"), "on");
      setChecksums(cluster.vrfNetns("h2", of("auto")), deviceOf("h2", "auto"), "off");
      await becomes("h1", "auto", "off");
      await becomes("h2", "auto", "on");
    });

    test("an agent that starts again leaves it as it was until it knows", async () => {
      const found = () => cluster.log("h1").split("found=faulty").length;
      const before_ = found();
      await cluster.kill("h1");
      await cluster.startAgent("h1");
      await until("it is found out again", async () => {
        assert.equal(tx("h1", "auto"), "off");
        return found() > before_;
      });
      await passes("auto");
    });

    // What follows is the same for all drivers.
    if (driver !== "vxlan") return;

    test("a network's setting can change while it is used", async () => {
      const edit = async (name: Offload, offload: Offload) => {
        const changed = await cluster.weft("network", "edit", of(name), "--offload", offload);
        assert.equal(changed.code, 0, changed.stderr);
      };
      await edit("on", "auto");
      await becomes("h1", "on", "off");
      await passes("on");
      await edit("off", "on");
      await becomes("h1", "off", "on");
      assert.deepEqual(await talk("off"), [false, false]);
    });

    test("with another card it is tried again, and on", async () => {
      // Longer than a way that is asked every five seconds has to be silent before it counts as broken.
      await card?.out(9_000);
      await becomes("h1", "auto", "on");
      await passes("auto");
      await until("nothing is said any more", async () => !(await told("h1")).includes("checksums"));
    });
  });
}
