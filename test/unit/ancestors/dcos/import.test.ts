// Importing is a function of the last file: over any sequence of files, with endpoints anywhere, importing a file again
// changes nothing, and what is there, or why it is refused, does not depend on the files before the last one taken.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Control } from "../../../../src/control/control.ts";
import { Fault } from "../../../../src/model/fault.ts";
import { openMemoryStore } from "../../../../src/store/memory.ts";
import { parseDcosConfig } from "../../../../src/ancestors/dcos/config.ts";
import { applyOf } from "../../../../src/ancestors/dcos/resources.ts";

const clock = { nowMs: () => 1_000_000, monotonicMs: () => 1_000_000, sleep: () => Promise.resolve() };
const JOIN = "join-token-of-this-test-0123456789";
const ADMIN = { role: "admin" } as const;

/** One overlay of a file: which families it has, and whether it takes endpoints. */
type Overlay = { readonly four: 0 | 1 | 2; readonly six: 0 | 1 | 2; readonly enabled: boolean };
type File = {
  readonly overlays: readonly (Overlay | undefined)[];
  readonly six: boolean;
  readonly on: boolean;
  readonly vtep: 0 | 1;
  readonly vtep6: 0 | 1 | 2;
  readonly mtu: number | undefined;
};

const anyOverlay: fc.Arbitrary<Overlay> = fc
  .record({
    four: fc.constantFrom(0 as const, 1 as const, 1 as const, 2 as const),
    six: fc.constantFrom(0 as const, 1 as const, 2 as const),
    enabled: fc.boolean(),
  })
  .filter(({ four, six }) => four + six > 0);
const anyFile: fc.Arbitrary<File> = fc.record({
  overlays: fc.array(fc.option(anyOverlay, { nil: undefined }), { minLength: 3, maxLength: 3 }),
  six: fc.boolean(),
  on: fc.oneof({ weight: 6, arbitrary: fc.constant(true) }, fc.constant(false)),
  vtep: fc.oneof({ weight: 4, arbitrary: fc.constant(0 as const) }, fc.constant(1 as const)),
  vtep6: fc.constantFrom(0 as const, 1 as const, 2 as const),
  mtu: fc.constantFrom(undefined, 1420, 1500),
});

function textOf({ overlays, six, on, vtep, vtep6, mtu }: File): string {
  const rows = overlays.flatMap((overlay, i) => {
    if (overlay === undefined) return [];
    const four = overlay.four === 0 ? "" : `, subnet: 10.${i * 8 + overlay.four}.0.0/16, prefix: 24`;
    const other = overlay.six === 0 ? "" : `, subnet6: 'fd01:${i + 1}${overlay.six}::/64', prefix6: 80`;
    return [`    - {name: net${i}, enabled: ${overlay.enabled}${four}${other}}`];
  });
  const needs = overlays.some((overlay) => (overlay?.six ?? 0) > 0) && vtep6 === 0 ? 1 : vtep6;
  return [
    `dcos_overlay_enable: '${on}'`,
    `enable_ipv6: '${six}'`,
    ...(mtu === undefined ? [] : [`dcos_overlay_mtu: ${mtu}`]),
    "dcos_overlay_network:",
    `  vtep_subnet: 44.${128 + vtep}.0.0/20`,
    ...(needs === 0 ? [] : [`  vtep_subnet6: 'fd01:a${needs}::/64'`]),
    "  vtep_mac_oui: '70:B3:D5:00:00:00'",
    "  overlays:",
    ...(rows.length === 0 ? ["    - {name: last, subnet: 10.99.0.0/16, prefix: 24}"] : rows),
  ].join("\n");
}

/** A server with two hosts. */
async function cluster() {
  const control = await Control.open(openMemoryStore(), { clock });
  await control.setToken("join", JOIN);
  for (const n of [1, 2]) {
    const claim = { host: `h${n}`, underlay: `192.168.0.${n}`, underlayMtu: 1550, hostPrefixes: [] };
    await control.join(claim, JOIN);
  }
  const write = async (text: string, dryRun: boolean) => {
    const { resources: items, pruneVrf } = applyOf(parseDcosConfig(text, "config.yaml"));
    return control.write({ verb: "apply", items, ...(pruneVrf === undefined ? {} : { pruneVrf }) }, { dryRun });
  };
  /** Hosts follow each conversion: one that is under way refuses others, whatever the file says. */
  const settle = async () => {
    for (let steps = 0; steps < 20; steps++) {
      const [running] = (await control.snapshot(ADMIN)).conversions;
      if (running === undefined) return;
      const { name, revision } = running;
      await control.write({ verb: "advance-conversion", name, revision, hosts: ["h1", "h2"] });
    }
    throw new Error("a conversion does not end");
  };
  return {
    /** What is there, or the reason of a refusal. */
    import: async (text: string): Promise<string> => {
      try {
        await write(text, false);
        await settle();
      } catch (error) {
        if (error instanceof Fault) return `refused: ${error.reason} ${error.detail.what}`;
        throw error;
      }
      const { vrfs, networks } = await control.snapshot(ADMIN);
      const specs = [...vrfs, ...networks].map(({ kind, name, spec }) => ({ kind, name, spec }));
      return JSON.stringify(specs.sort((a, b) => (a.name < b.name ? -1 : 1)));
    },
    again: async (text: string) => (await write(text, true)).changes,
    attach: async (network: string) => {
      const { blocks } = await control.snapshot(ADMIN);
      const own = blocks.filter(({ spec }) => spec.network === network && spec.host === "h1");
      const addresses = own.map(({ spec }) => spec.cidr.replace(/\.0\/.*$/, ".5").replace(/::\/.*$|:0\/.*$/, "::5"));
      const place = { ifname: "eth0", netns: "/run/netns/web", slice: "mesos" };
      const claim = { network, host: "h1", owner: `web-${network}`, addresses, ...place };
      await control.write({ verb: "attach", claim, by: { role: "host", host: "h1" } });
    },
    detachAll: async () => {
      for (const { name } of (await control.snapshot(ADMIN)).endpoints)
        await control.write({ verb: "detach", endpoint: name, by: { role: "host", host: "h1" } });
    },
    attached: async () => (await control.snapshot(ADMIN)).endpoints.map(({ spec }) => spec.network),
    close: () => control.close(),
  };
}

/** A file is imported after the one before, with endpoints on some of its networks, or on none any more. */
type Step = { readonly file: File; readonly busy: readonly boolean[]; readonly quiet: boolean };
const anyStep: fc.Arbitrary<Step> = fc.record({
  file: anyFile,
  busy: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
  quiet: fc.boolean(),
});

/** A server that knows one file, with these endpoints; none if a network took them before the file disabled it. */
async function aloneOf(taken: string | undefined, endpoints: readonly string[]) {
  const alone = await cluster();
  if (taken !== undefined) await alone.import(taken);
  try {
    for (const network of endpoints) await alone.attach(network);
    return alone;
  } catch (error) {
    await alone.close();
    if (error instanceof Fault && error.reason === "network-disabled") return undefined;
    throw error;
  }
}

test("importing is a function of the last file, over any sequence of files", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 2, maxLength: 7 }), async (steps) => {
      const long = await cluster();
      let taken: string | undefined;
      for (const { file, busy, quiet } of steps) {
        const text = textOf(file);
        if (quiet) await long.detachAll();
        // A server that knows the last file alone, with the same endpoints, says the same.
        const endpoints = await long.attached();
        const alone = await aloneOf(taken, endpoints);
        const outcome = await long.import(text);
        if (alone !== undefined) assert.equal(outcome, await alone.import(text), `after\n${taken}\nthe file\n${text}`);
        await alone?.close();
        if (outcome.startsWith("refused:")) continue;
        taken = text;
        assert.deepEqual(await long.again(text), [], text);
        const there = await long.attached();
        for (const [i, overlay] of file.overlays.entries()) {
          const isOpen = file.on && overlay?.enabled === true && (file.six || overlay.four > 0);
          if (busy[i] === true && isOpen && !there.includes(`net${i}`)) await long.attach(`net${i}`);
        }
      }
      await long.close();
    }),
    { numRuns: 60 },
  );
});

test("an IPv6 overlay that went leaves nothing that stands in the way of the next import", async () => {
  const { import: take, again, attach, close } = await cluster();
  const base = { six: true, on: true, vtep: 0, mtu: undefined, vtep6: 0 } as const;
  const four: Overlay = { four: 1, six: 0, enabled: true };
  const both = textOf({ ...base, overlays: [four, { four: 0, six: 1, enabled: true }, undefined] });
  const one = textOf({ ...base, overlays: [four, undefined, undefined] });
  await take(both);
  await attach("net0");
  for (const text of [one, one]) assert.doesNotMatch(await take(text), /^refused/);
  assert.deepEqual(await again(one), []);
  await close();
});
