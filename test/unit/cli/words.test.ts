// Words of the command line: whatever a hand slips to, a reader refuses it or understands all of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDuration } from "../../../src/model/duration.ts";
import { Fault } from "../../../src/model/fault.ts";
import { parseQos, formatLimit } from "../../../src/model/qos.ts";
import { inHexadecimal, readsWhole } from "../slips.ts";
import { allowedOf } from "../../../src/cli/endpoint/attach.ts";
import { itemsOf } from "../../../src/cli/input/resourceFile.ts";
import { ruleOf, ruleText } from "../../../src/cli/group/rule.ts";
import { spanOf } from "../../../src/cli/address/hold.ts";
import { qosOf } from "../../../src/cli/endpoint/limit.ts";
import { draftOf } from "../../../src/cli/network/draft.ts";
import { listOrNone, wholeNumber } from "../../../src/cli/input/options.ts";
import { quotaOf } from "../../../src/cli/network/reserve.ts";
import { wordsOf } from "../../../src/cli/input/settings.ts";
import { spoofingOf } from "../../../src/cli/network/draft.ts";
import { periodOf, timeText } from "../../../src/cli/address/time.ts";

const refused = (error: unknown) => error instanceof Fault && (error.detail.where ?? "") !== "";

test("a rule: the list of ports that iptables and OpenNebula write is read whole", () => {
  const { ports } = ruleOf("allow", "in:tcp:22,53,80:90,110,1024:65535");
  assert.deepEqual(ports, [22, 53, "80-90", 110, "1024-65535"]);
  assert.deepEqual(ruleOf("allow", "INBOUND:TCP:22,80:90"), ruleOf("allow", "in:tcp:22,80-90"));
  assert.deepEqual(ruleOf("deny", "Outbound:UDP:53:TO=GROUP/Web:LOG"), ruleOf("deny", "out:udp:53:to=group/Web:log"));
});

test("a rule: what is empty, given twice or of no meaning is refused, and the answer says what", () => {
  for (const [word, why] of [
    ["in:tcp:80,", /"" is no port/],
    ["in:tcp:,80", /"" is no port/],
    ["in:tcp:80,,90", /"" is no port/],
    ["in:tcp:", /empty/],
    ["in:tcp::80", /":80" is no port/],
    ["in:tcp:80:", /"80:" is no port/],
    ["in:tcp:80:90:100", /"80:90:100" is no port/],
    ["in:tcp:080", /"080" is no port/],
    ["in:tcp:22,80:90,22", /22 is given twice/],
    ["in:tcp:90:80", /ends before it begins/],
    ["in:tcp:65536", /does not exist/],
    ["in:tcp:80:log:90", /ports are given twice/],
    ["in:tcp:priority=5:priority=900", /"priority" is given twice/],
    ["in:tcp:log:log", /"log" is given twice/],
    ["in:tcp:from=10.0.0.0/8:from=10.9.0.0/16", /"from" is given twice/],
    ["in:tcp:priority=", /not a priority/],
    ["in:tcp:priority=1001", /not a priority/],
    ["in:tcp:to=10.0.0.1", /an inbound rule takes from=, not to=/],
    ["in:tcp:from=", /is not a peer/],
    ["in:tcp:from=group/", /names no group/],
    ["in:tcp:from=10.0.0.5+0", /not a number of addresses/],
    ["in:tcp:from=10.0.0.5:80", /is not a peer/],
    ["in:icmp:8:0", /not a type of ICMP/],
    ["in:icmp:256", /not a type of ICMP/],
    ["in:all:80", /only tcp and udp rules may have ports/],
    ["in:constructor", /not a protocol/],
    ["in:256", /not a protocol/],
    ["inward:tcp", /begins with in: or out:/],
  ] as const)
    assert.throws(
      () => ruleOf("allow", word),
      (error) => refused(error) && why.test((error as Fault).message),
      word,
    );
});

test("whatever a hand slips to, a rule is refused or read whole, and reads as it is printed", () => {
  const canonical = (text: string) =>
    inHexadecimal(text.toLowerCase())
      .replace(/^inbound:/, "in:")
      .replace(/^outbound:/, "out:")
      .replaceAll(/(?<=[:,])(\d+)[:-]\1(?=[:,]|$)/g, "$1");
  readsWhole(
    [
      "in:tcp:22,53,80:90,110,1024:65535",
      "inbound:udp:53:from=10.0.0.0/8:priority=5:log",
      "out:all:to=10.0.0.5+10",
      "in:icmpv6:135:from=fd00::1:2",
      "outbound:47:log:priority=0",
      "in:tcp:from=group/web-1",
      "out:tcp:443:to=network/prod.net",
    ],
    {
      read: (text) => ruleOf("allow", text),
      print: (rule) => ruleText(rule).slice("allow ".length),
      parts: (text) =>
        canonical(text)
          .split(/[:,=+/.\- ]/)
          .sort(),
    },
  );
});

/** Zeros aside, which IPv6 writes in many ways. */
function digits(text: string): readonly string[] {
  return [inHexadecimal(text.toLowerCase()).replaceAll(/[^1-9a-f]/g, "")];
}

test("so are the other words", () => {
  readsWhole(["10.7.0.99", "10.7.0.99,02:00:0a:07:00:63", "fd00::9,02:00:0a:07:00:63"], {
    read: allowedOf,
    print: ({ address, mac }) => [address, ...(mac === undefined ? [] : [mac])].join(","),
    parts: digits,
  });
  readsWhole(["10.7.0.10", "10.7.0.10-10.7.0.19", "02:00:00:00:00:01-02:00:00:00:00:09"], {
    read: spanOf,
    print: ({ first, last }) => (last === undefined ? first : `${first}-${last}`),
    parts: digits,
  });
  readsWhole(["docker=d", "mesos-1=m-1"], {
    read: (text) => draftOf({ slice: [text] }).slices?.[0],
    print: (slice) => `${slice?.name}=${slice?.bridge}`,
    parts: (text) => text.split("="),
  });
  readsWhole(["acme=100", "a=b=none"], {
    read: quotaOf,
    print: ({ tenant, leases }) => `${tenant}=${leases ?? "none"}`,
    parts: (text) => [text],
  });
  readsWhole(["30", "0", "65535"], {
    read: (text) => wholeNumber(text, "--mtu"),
    print: String,
    parts: (text) => [text],
  });
  readsWhole(["mesos,docker", "default"], {
    read: (text) => wordsOf(text, "--slices"),
    print: (words) => words.join(","),
    parts: (text) => text.split(",").map((word) => word.trim()),
  });
  readsWhole(["mac,ip", "dhcp-server,broadcasts", "none"], {
    read: (text) => spoofingOf(text.split(",")),
    print: (spoofing) => wordsOfSpoofing(spoofing),
    parts: (text) => text.split(",").sort(),
  });
  readsWhole(["web,db", "none"], {
    read: (text) => listOrNone(text.split(","), "--sg"),
    print: (groups) => (groups.length === 0 ? "none" : groups.join(",")),
    parts: (text) => [text],
  });
});

function wordsOfSpoofing(spoofing: ReturnType<typeof spoofingOf>): string {
  const words = Object.keys(spoofing).map((field) =>
    field.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
  );
  return words.length === 0 ? "none" : words.join(",");
}

test("so are limits, as people write them and as they are printed", () => {
  const read = (text: string) => {
    const limit = parseQos(qosOf({ inbound: text }) ?? {}, "qos").inbound;
    assert.ok(typeof limit === "object");
    return limit;
  };
  readsWhole(["avg=10mbit,peak=20mbit,burst=64kB", "10mbit, peak 20mbit, burst 64kB", "avg=125kB/s", "avg=1.5gbit"], {
    read,
    print: formatLimit,
    // Units have several spellings; that no number or name is lost is seen by how many there are.
    parts: (text) => [String(text.split(",").length)],
  });
  for (const bad of ["avg=1.5bit", "avg=010mbit", "avg=1mbit,avg=2mbit", "avg=", "constructor=1mbit", "avg=1mbit,"])
    assert.throws(() => read(bad), refused, bad);
});

test("so are spans and moments of time", () => {
  readsWhole(["30s", "5m", "250ms"], {
    read: (text) => ({ ms: parseDuration(text, "--expires"), text: text.trim() }),
    print: ({ text }) => text,
    parts: (text) => [text.trim()],
  });
  const now = Date.UTC(2026, 10, 26, 12);
  readsWhole(["2026-11-24 15:00:07", "2026-02-28", "2026-11-24T15:00"], {
    read: (text) => periodOf(text, now, "--at").sinceMs,
    print: timeText,
    parts: (text) => [text.replace(/^\s*(\d{4}-\d{2}-\d{2})[\s\S]*$/, "$1")],
  });
  for (const bad of ["2026-02-30", "2026-11-31 15:00", "2026-11-24 15:00 (tea)", "2026-11-24 15:00 EST"])
    assert.throws(() => periodOf(bad, now, "--at"), refused, bad);
});

test("a file of resources: nothing in it is passed over", async () => {
  const good = "kind: network\nname: blue\nspec: {subnets: [{cidr: 10.7.0.0/16, hostPrefix: 24}]}\n";
  assert.equal((await itemsOf(good, "f.yaml")).length, 1);
  for (const [bad, place] of [
    [good.replace("24", "024"), /f\.yaml:3:/],
    [good.replace("24", "!secret 24"), /f\.yaml:3:/],
    [good.replace("spec", "name: red\nspec"), /f\.yaml:3:/],
    [good.replace("spec", "status: {}\nspec"), /status/],
    [`${good}...\nrest: [`, /f\.yaml:/],
  ] as const)
    await assert.rejects(
      itemsOf(bad, "f.yaml"),
      (error) => refused(error) && place.test((error as Fault).detail.where ?? ""),
      bad,
    );
});
