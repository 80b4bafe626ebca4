// Conversions: when one begins, how it goes from phase to phase by what hosts report, and how it is taken back. The
// laws hold over any order of reports, writes and crashes of the server.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Control } from "../../../src/control/control.ts";
import { NETWORK_FIELDS, PHASES } from "../../../src/model/kinds/conversion.ts";
import { switchedDevice } from "../../../src/model/driver.ts";
import { carriageOf, conversionText, phaseAfter, phasesOf, withCarriage } from "../../../src/model/conversion.ts";
import type { Conversion, Network, Vrf } from "../../../src/model/resource.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { ADMIN, type Lab, openLab, refuses, reportOf, v4 } from "./lab.ts";

const find = async (lab: Lab, name = "blue"): Promise<Conversion | undefined> =>
  lab.control.find("conversion", name, ADMIN);
const network = async (lab: Lab, name = "blue"): Promise<Network> =>
  (await lab.control.find("network", name, ADMIN)) ?? assert.fail();
const vrf = async (lab: Lab, name = "blue"): Promise<Vrf> =>
  (await lab.control.find("vrf", name, ADMIN)) ?? assert.fail();
const phase = async (lab: Lab) => (await find(lab))?.spec.phase;
const cancel = (lab: Lab, name = "blue") => lab.control.write({ verb: "delete", kind: "conversion", name });
const putVrf = async (lab: Lab, fields: object) => {
  const { spec } = await vrf(lab);
  return lab.control.write({ verb: "put", kind: "vrf", name: "blue", spec: { ...spec, ...fields } });
};
const put = async (lab: Lab, fields: object) => lab.put("blue", { ...(await network(lab)).spec, ...fields });

/** Two hosts with endpoints of `blue`, a switched network. */
async function two(): Promise<Lab> {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("blue", v4("10.7.0.0/16"));
  for (const n of [1, 2]) await lab.attach("blue", `h${n}`, `w${n}`);
  return lab;
}

/** As the server does when these hosts are in the phase. */
async function advance(lab: Lab, hosts: readonly string[] = ["h1", "h2"]): Promise<void> {
  const { name, revision } = (await find(lab)) ?? assert.fail();
  await lab.control.write({ verb: "advance-conversion", name, revision, hosts });
}

test("another port: the second names of devices, then receive, send, and the end", async () => {
  const lab = await two();
  await putVrf(lab, { tunnelPort: 8472 });
  const { spec } = (await find(lab)) ?? assert.fail();
  const vni = (await vrf(lab)).spec.vni;
  assert.deepEqual(spec, {
    vrf: "blue",
    from: { vni, tunnelPort: 4789 },
    to: { vni, tunnelPort: 8472, alternate: true },
    phase: "receive",
  });
  assert.equal((await vrf(lab)).spec.alternate, true);
  await advance(lab);
  assert.equal(await phase(lab), "send");
  await advance(lab);
  assert.equal(await phase(lab), undefined);
  await putVrf(lab, { tunnelPort: 4789 });
  assert.equal((await vrf(lab)).spec.alternate, undefined, "the first names are free again");
});

test("another MTU: packets first, then devices; another driver's, VNI or port after that", () => {
  const phases = (from: object, to: object) => phasesOf({ from, to });
  assert.deepEqual(phases({ mtu: 1450 }, {}), ["narrow", "receive"]);
  assert.deepEqual(phases({ vni: 7 }, { vni: 8 }), ["receive", "send"]);
  assert.deepEqual(phases({ vni: 7 }, { vni: 8, mtu: 1400 }), PHASES);
  assert.deepEqual(phases({ driver: "vxlan" }, {}), PHASES);
  const spec = { vrf: "v", from: { mtu: 1400 }, to: {}, phase: "receive" } as const;
  assert.equal(phaseAfter(spec), undefined);
  assert.equal(phaseAfter({ ...spec, phase: "narrow" }), "receive");
});

test("what a spec has of a conversion's fields, and the spec with others", async () => {
  const lab = await two();
  const { spec } = await network(lab);
  assert.deepEqual(Object.keys(carriageOf(spec)).toSorted(), ["driver", "vni"]);
  const narrow = withCarriage(spec, { driver: "vxlan", mtu: 1400 });
  assert.deepEqual([narrow.mtu, narrow.vni, narrow.subnets], [1400, undefined, spec.subnets]);
  assert.deepEqual(withCarriage(narrow, carriageOf(spec)), spec);
  for (const field of NETWORK_FIELDS) assert.equal(carriageOf(narrow)[field], narrow[field]);
});

test("without endpoints all of it changes at once, also what is on its way", async () => {
  const lab = await openLab();
  await lab.join(1);
  await lab.put("blue", v4("10.7.0.0/16"));
  await put(lab, { vni: 99, mtu: 1400 });
  await putVrf(lab, { tunnelPort: 8472, vni: 100 });
  assert.equal(await find(lab), undefined);
  await lab.attach("blue", "h1", "w");
  await put(lab, { vni: 98 });
  assert.equal(await phase(lab), "receive");
  await lab.detach("w.eth0");
  await put(lab, { vni: 97 });
  assert.equal(await find(lab), undefined);
  assert.equal((await network(lab)).spec.vni, 97);
});

test("a network in the hosts' own namespace is used by its hosts, also without endpoints", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  const subnets = [{ cidr: "10.9.0.0/24" }];
  const hostAddresses = [{ host: "h1", address: "10.9.0.1/24" }];
  for (const more of [{ hostAddresses }, { hostAddresses: "auto" }, { hosts: ["h1"] }] as const) {
    await lab.put("mgmt", { placement: "host", subnets, ...more });
    await lab.put("mgmt", { ...(await network(lab, "mgmt")).spec, vni: 77 });
    assert.equal((await find(lab, "host"))?.spec.phase, "receive", JSON.stringify(more));
    await cancel(lab, "host");
    const { spec } = await vrf(lab, "host");
    await lab.control.write({ verb: "put", kind: "vrf", name: "host", spec: { ...spec, tunnelPort: 8472 } });
    assert.deepEqual((await find(lab, "host"))?.spec.to.tunnelPort, 8472);
    await lab.control.write({ verb: "delete", kind: "network", name: "mgmt" });
  }
  await lab.put("mgmt", { placement: "host", subnets, hosts: [] });
  await lab.put("mgmt", { ...(await network(lab, "mgmt")).spec, vni: 78 });
  assert.equal(await find(lab, "host"), undefined, "nobody has it");
});

test("a network or VRF that goes takes its conversion along", async () => {
  const of = { network: { vni: 99 }, vrf: { tunnelPort: 8472 } };
  for (const kind of ["network", "vrf"] as const) {
    for (const gone of ["network", "vrf"] as const) {
      const lab = await two();
      if (kind === "vrf") await putVrf(lab, of.vrf);
      else await put(lab, of.network);
      assert.equal(await phase(lab), "receive");
      for (const n of [1, 2]) await lab.detach(`w${n}.eth0`);
      await lab.control.write({ verb: "delete", kind: gone, name: "blue", force: true });
      assert.equal(await lab.control.find("network", "blue", ADMIN), undefined);
      const isGone = kind === "network" || (await lab.control.find("vrf", "blue", ADMIN)) === undefined;
      assert.ok(!isGone || (await find(lab)) === undefined, `${kind} ${gone}`);
    }
  }
});

test("one at a time in a VRF; the former VNI is nobody else's; other changes are free", async () => {
  const lab = await two();
  const { vni = 0 } = (await network(lab)).spec;
  await put(lab, { vni: 99 });
  const busy = await refuses(
    lab,
    ["in-use", "conversion/blue"],
    /conversion of network "blue" is in phase receive/,
    () => putVrf(lab, { tunnelPort: 8472 }),
  );
  assert.equal(busy.detail.why, "a VRF has one conversion at a time");
  await refuses(lab, "in-use", /weft network conversion cancel blue/, () => put(lab, { mtu: 1400 }));
  await refuses(lab, "vni-taken", /belongs to network\/blue/, () => lab.put("green", { ...v4("10.8.0.0/16"), vni }));
  await put(lab, { description: "x" });
  await refuses(lab, "in-use", /./, () => lab.control.write({ verb: "delete", kind: "network", name: "blue" }));
  await advance(lab);
  await advance(lab);
  assert.equal((await lab.put("green", { ...v4("10.8.0.0/16"), vni })).spec.vni, vni);
  await put(lab, { vni: 98 });
  await lab.control.write({ verb: "delete", kind: "network", name: "blue", force: true });
  assert.equal(await find(lab), undefined);
});

test("a given device name: a second one is needed, and a name alone cannot change", async () => {
  const lab = await openLab();
  await lab.join(1);
  await lab.control.write({ verb: "put", kind: "vrf", name: "blue", spec: { vtepName: "vtep1024" } });
  await lab.put("near", { ...v4("9.0.0.0/16", 24), vrf: "blue" });
  await lab.attach("near", "h1", "w", { addresses: ["9.0.0.2"] });
  await refuses(lab, ["in-use", "spec.vtepName"], /two tunnel devices called vtep1024/, () =>
    putVrf(lab, { tunnelPort: 8472 }),
  );
  await refuses(lab, ["in-use", "spec.vtepName"], /cannot get another name/, () => putVrf(lab, { vtepName: "vtep1" }));
  await putVrf(lab, { tunnelPort: 8472, vtepName: "vtep1" });
  assert.equal(await phase(lab), "receive");
});

test("the server's word counts only for what it saw: of this phase, and of all hosts that there are now", async () => {
  const lab = await two();
  await put(lab, { vni: 99 });
  const { revision } = (await find(lab)) ?? assert.fail();
  await advance(lab, ["h1"]);
  assert.equal(await phase(lab), "receive");
  await lab.join(3);
  await lab.attach("blue", "h3", "w3");
  await advance(lab);
  assert.equal(await phase(lab), "receive", "h3 has come");
  await lab.detach("w3.eth0");
  await advance(lab);
  assert.equal(await phase(lab), "send");
  await lab.control.write({ verb: "advance-conversion", name: "blue", revision, hosts: ["h1", "h2"] });
  assert.equal(await phase(lab), "send", "that was said of the phase before");
});

test("a refused change leaves the VNI with the network, or VRF, that has it", async () => {
  const lab = await two();
  const vni = (await network(lab)).spec.vni ?? assert.fail();
  await refuses(lab, "mtu-invalid", /MTU/, () => put(lab, { vni: 7000, mtu: 9000 }));
  await refuses(lab, "vni-taken", /belongs to network\/blue/, () => lab.put("green", { ...v4("10.8.0.0/16"), vni }));
  assert.notEqual((await lab.put("green", v4("10.8.0.0/16"))).spec.vni, vni);
});

test("it does not go back to what a host that joined since cannot carry", async () => {
  const lab = await two();
  await put(lab, { mtu: 1450 });
  for (let n = 0; n < 2; n++) await advance(lab);
  assert.equal(await find(lab), undefined);
  await put(lab, { mtu: 1400 });
  const token = await lab.join(3, { underlayMtu: 1450 });
  await refuses(
    lab,
    ["mtu-invalid", "conversion/blue"],
    /cannot go back.*MTU 1450 does not fit.*host "h3" has an underlay MTU of 1450, which leaves 1400/s,
    () => cancel(lab),
  );
  const claim = { host: "h3", underlay: "192.168.0.3", underlayMtu: 1500, hostPrefixes: [] };
  await lab.control.join(claim, token);
  await cancel(lab);
  assert.equal((await network(lab)).spec.mtu, 1450);
  // Without a host's own way no MTU is in question, and what all hosts carry is found anew.
  await put(lab, { mtu: undefined });
  await lab.control.join({ ...claim, underlayMtu: 1450 }, token);
  assert.ok(await find(lab));
});

test("it does not go back to a driver that a host with a block cannot", async () => {
  const lab = await openLab();
  const features = { features: ["vxlan", "gre", "isolated"] } as const;
  for (const n of [1, 2]) await lab.join(n, features);
  await lab.put("blue", { ...v4("10.7.0.0/16", 24), driver: "gre" });
  for (const n of [1, 2]) await lab.attach("blue", `h${n}`, `w${n}`, { addresses: [`10.7.${n - 1}.2`] });
  await put(lab, { driver: "vxlan" });
  await lab.join(3, { features: ["vxlan", "isolated"] });
  await refuses(lab, ["feature-missing", "conversion/blue"], /cannot go back.*needs GRE devices/s, () => cancel(lab));
});

test("cancelled before anything is sent another way it ends; after that it goes back, once", async () => {
  const lab = await two();
  const before = (await network(lab)).spec;
  await put(lab, { vni: 99 });
  await cancel(lab);
  assert.deepEqual([await find(lab), (await network(lab)).spec], [undefined, before]);

  await put(lab, { mtu: 1400 });
  await cancel(lab);
  assert.deepEqual([await find(lab), (await network(lab)).spec], [undefined, before], "only packets were narrowed");

  await put(lab, { mtu: 1400 });
  await advance(lab);
  await cancel(lab);
  const narrowed = (await find(lab)) ?? assert.fail();
  assert.deepEqual([narrowed.spec.phase, narrowed.spec.back, narrowed.spec.to.mtu], ["receive", true, undefined]);
  await advance(lab);

  await put(lab, { vni: 99, mtu: 1400 });
  await advance(lab);
  await advance(lab);
  await cancel(lab);
  const { spec, revision } = (await find(lab)) ?? assert.fail();
  assert.deepEqual([spec.phase, spec.from.vni, spec.to.vni, spec.back], ["send", 99, before.vni, true]);
  assert.deepEqual((await network(lab)).spec, before);
  await cancel(lab);
  assert.equal((await find(lab))?.revision, revision, "the same again changes nothing");
  await advance(lab);
  assert.equal(await find(lab), undefined);
});

test("hosts take both ways until the end: one that cannot gets no endpoint", async () => {
  const lab = await openLab();
  const all = { features: ["vxlan", "gre", "isolated"] } as const;
  for (const n of [1, 2]) await lab.join(n, all);
  await lab.put("blue", { ...v4("10.7.0.0/16"), driver: "gre" });
  for (const n of [1, 2]) await lab.attach("blue", `h${n}`, `w${n}`);
  await put(lab, { driver: "vxlan" });
  await lab.join(3, { features: ["vxlan"] });
  await refuses(lab, "feature-missing", /host "h3" cannot carry network "blue": driver gre needs/, () =>
    lab.attach("blue", "h3", "w3"),
  );
  for (let n = 0; n < 3; n++) await advance(lab);
  await lab.attach("blue", "h3", "w3");
});

/** What may happen to a cluster while a conversion runs, each at any moment. */
const anyEvent = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant("report" as const), host: fc.constantFrom(1, 2, 3) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constantFrom("look" as const, "crash" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constantFrom("join" as const, "leave" as const), host: fc.constant(3) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("reclaim" as const), host: fc.constantFrom(1, 2) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("cancel" as const) }) },
);

test("whatever happens: no phase before all members are in the one before; and when all report it ends", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom({ vni: 99 }, { mtu: 1400 }, { vni: 99, mtu: 1400 }),
      fc.array(anyEvent, { maxLength: 40, size: "max" }),
      async (fields, events) => {
        const cluster = await Running.begin(fields);
        for (const event of events) await cluster.meet(event.what, "host" in event ? `h${event.host}` : "");
        await cluster.finish();
      },
    ),
    { numRuns: 60 },
  );
});

/** A cluster whose server looks at its conversion when it is told to, and may be killed. */
class Running {
  readonly #store = openMemoryStore({ cluster: "lab" });
  readonly #time = { now: 1_000_000 };
  #control: Control | undefined;
  #looking = new AbortController();
  #look: () => void = () => undefined;
  /** The revision that each host's kernel has. */
  readonly #reached = new Map<string, number>();

  static async begin(fields: object): Promise<Running> {
    const running = new Running();
    const lab = await openLab(running.#store);
    for (const n of [1, 2, 3]) await lab.join(n);
    await lab.put("blue", v4("10.7.0.0/16"));
    for (const n of [1, 2]) await lab.attach("blue", `h${n}`, `w${n}`);
    await put(lab, fields);
    await running.#open();
    return running;
  }

  get #server(): Control {
    return this.#control ?? assert.fail();
  }

  async #open(): Promise<void> {
    const clock = {
      nowMs: () => this.#time.now,
      monotonicMs: () => this.#time.now,
      sleep: () => new Promise<void>((resolve) => (this.#look = resolve)),
    };
    this.#control = await Control.open(this.#store, { clock });
    this.#looking = new AbortController();
    void this.#control.tendOn(this.#looking.signal);
  }

  async #find(): Promise<Conversion | undefined> {
    return this.#server.find("conversion", "blue", ADMIN);
  }

  async #members(): Promise<readonly string[]> {
    const { endpoints } = await this.#server.snapshot(ADMIN);
    return [...new Set(endpoints.map(({ spec }) => spec.host))];
  }

  async meet(what: (typeof anyEvent extends fc.Arbitrary<infer E> ? E : never)["what"], host: string): Promise<void> {
    const before = await this.#find();
    if (what === "report") await this.#report(host);
    if (what === "look") await this.#lookOnce();
    if (what === "crash") await this.#crash();
    if (what === "cancel")
      await this.#server.write({ verb: "delete", kind: "conversion", name: "blue" }).catch(() => {});
    if (what === "join" || what === "leave") await this.#member(what, host);
    if (what === "reclaim") await this.#server.reclaim(host, { force: true }).catch(() => undefined);
    const after = await this.#find();
    if (what !== "look" || before === undefined || before.revision === after?.revision) return;
    // It has moved: all members had what was before.
    for (const member of await this.#members())
      assert.ok((this.#reached.get(member) ?? 0) >= before.revision, `${member} was in phase ${before.spec.phase}`);
  }

  /** A host's kernel has what the server has, and says so. */
  async #report(host: string): Promise<void> {
    this.#reached.set(host, this.#server.revision);
    await this.#server.report(reportOf(host, { revision: this.#server.revision })).catch(() => undefined);
  }

  async #member(what: "join" | "leave", host: string): Promise<void> {
    const claim = { network: "blue", host, owner: "late", ifname: "eth0", netns: "/n" };
    const write = what === "join" ? ({ verb: "attach", claim, by: ADMIN } as const) : undefined;
    await this.#server
      .write(write ?? { verb: "detach", endpoint: "late.eth0", by: ADMIN, force: true })
      .catch(() => undefined);
  }

  async #lookOnce(): Promise<void> {
    this.#time.now += 600;
    this.#look();
    for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  async #crash(): Promise<void> {
    this.#looking.abort();
    this.#look();
    await this.#server.close();
    await this.#open();
  }

  async finish(): Promise<void> {
    for (let i = 0; i < 12 && (await this.#find()) !== undefined; i++) {
      for (const host of ["h1", "h2", "h3"]) await this.#report(host);
      await this.#lookOnce();
    }
    assert.equal(await this.#find(), undefined, "it is over");
    await this.#server.close();
    this.#looking.abort();
  }
}

test("a device with a given name: another VNI needs another name; another port has a name of Weft's", async () => {
  const lab = await openLab();
  await lab.join(1);
  const spec = { ...v4("10.7.0.0/16"), placement: "host", device: "encap", vni: 7 } as const;
  await lab.put("blue", spec);
  await lab.attach("blue", "h1", "w1");
  const change = (fields: object) => () => lab.put("blue", { ...spec, ...fields });
  await refuses(lab, ["in-use", "spec.device"], /cannot get another name/, change({ device: "other" }));
  await refuses(lab, ["in-use", "spec.device"], /two devices called encap/, change({ vni: 8 }));
  const { device: _, ...bare } = spec;
  await lab.put("blue", { ...bare, vni: 8 });
  const { from, to } = (await find(lab, "host"))?.spec ?? assert.fail();
  assert.deepEqual([from.device, to.device], ["encap", undefined]);
  const names = (vrfSpec: object) => switchedDevice({ driver: "vxlan", device: "encap" }, 7, vrfSpec);
  assert.deepEqual([names({}), names({ alternate: true })], ["encap", "wx7b"]);
});

test("what a condition says of a conversion: whom it waits for, and what comes when all are there", async () => {
  const lab = await two();
  const told = async () => (await lab.control.status()).conditions.find(({ reason }) => reason === "converting");
  const report = (revision: number) =>
    Promise.all(["h1", "h2"].map((host) => lab.control.report(reportOf(host, { revision }))));
  await put(lab, { vni: 99, mtu: 1400 });
  assert.deepEqual(
    (await told())?.waitsFor?.map(({ host }) => host),
    ["h1", "h2"],
  );
  const next = {
    narrow: "they take packets both ways next",
    receive: "they send the new way next",
    send: "the former tunnel goes in a second",
  };
  for (const [each, text] of Object.entries(next)) {
    await report((await find(lab))?.revision ?? 0);
    const { message = "", waitsFor } = (await told()) ?? {};
    assert.match(message, new RegExp(`phase ${each}, done on all hosts: ${text}$`));
    assert.deepEqual(waitsFor, []);
    await advance(lab);
  }
});

test("in words: what is absent is said as what it comes to", () => {
  const text = conversionText({ from: {}, to: { peers: "multicast", group: "239.0.0.7", ttl: 5 } });
  assert.equal(text, "peers unicast to multicast, group none to 239.0.0.7, ttl auto to 5");
});
