// What a writer writes, the reader of the format reads again: the same plan, or the writer says what is missing.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SOURCES, type Format, type SourceFormat, WRITERS } from "../../../src/formats/formats.ts";
import { type LinkPlan, type PlanLink, isBare, needsOf } from "../../../src/formats/plan.ts";
import { anyPlan } from "./anyPlan.ts";
import { asFolder, linksOf, read } from "./memoryFiles.ts";

/** Without devices that the plan mentions and nothing needs: files do not say them. */
function said({ links }: LinkPlan): LinkPlan {
  const needed = new Set(links.flatMap(needsOf));
  return { links: links.filter((link) => !isBare(link) || needed.has(link.name)) };
}

/** What netplan has words for. */
function sayable({ links }: LinkPlan): LinkPlan {
  return {
    links: links.map((link): PlanLink => {
      const { isolated: __, offload: ___, ...plain } = { ...link, neighbours: [] };
      if (plain.kind === "vxlan") return { ...plain, remotes: plain.remotes.slice(0, 1), fdb: [] };
      if (plain.kind === "vlan") return { ...plain, outer: false };
      if (plain.kind !== "gretap") return plain;
      const { dev: _, ...unbound } = plain;
      return unbound;
    }),
  };
}

const READ_BY: readonly (readonly [Format, SourceFormat])[] = [
  ["ifupdown", "ifupdown"],
  ["ifupdown2", "ifupdown"],
  ["netplan", "netplan"],
  ["networkd", "networkd"],
];

for (const [format, reader] of READ_BY)
  test(`${format}: what is written is read again, or is said to be missing`, () => {
    fc.assert(
      fc.property(anyPlan, (plan) => {
        const { files, lacks } = WRITERS[format]({ plan, name: "mgmt", header: ["A header; with = and [words]."] });
        const again = read(reader, asFolder(files), ["/x"]);
        assert.deepEqual(again.problems, []);
        assert.deepEqual(again.notes, []);
        const rest = format === "netplan" ? sayable(plan) : plan;
        assert.deepEqual(again.links, linksOf(said(rest)));
        if (lacks.length === 0) assert.deepEqual(again.links, linksOf(said(plan)));
      }),
      { numRuns: 150 },
    );
  });

test("ifupdown, networkd and iproute2 can say any plan; ifupdown2 if every MTU is known", () => {
  fc.assert(
    fc.property(anyPlan, (plan) => {
      const lacks = (format: Format, whole: LinkPlan) => WRITERS[format]({ plan: whole, name: "x", header: [] }).lacks;
      for (const format of ["ifupdown", "networkd", "iproute2"] as const) assert.deepEqual(lacks(format, plan), []);
      const known = plan.links.map((link): PlanLink => ({ ...link, mtu: link.mtu ?? 1400 }));
      assert.deepEqual(lacks("ifupdown2", { links: known }), []);
      const isOpen = plan.links.some(({ kind, mtu }) => mtu === undefined && /^(bridge|vxlan)$/.test(kind));
      assert.equal(lacks("ifupdown2", plan).length > 0, isOpen);
    }),
    { numRuns: 20 },
  );
});

test("every format that can be read can be written", () => {
  for (const format of Object.keys(SOURCES)) assert.ok(Object.hasOwn(WRITERS, format));
});
