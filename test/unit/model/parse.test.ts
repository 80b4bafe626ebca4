// Untrusted JSON: what is wrong is named by its path, what is right comes out canonical.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseMac } from "../../../src/model/address.ts";
import { Fault, type Reason } from "../../../src/model/fault.ts";
import {
  checkName,
  parseApply,
  parseEndpointClaim,
  parseJoin,
  parsePut,
  parseReport,
} from "../../../src/model/parse.ts";

function refusal(reason: Reason, text: RegExp, parse: () => unknown, where?: string): void {
  assert.throws(parse, (error) => {
    assert.ok(error instanceof Fault, String(error));
    assert.equal(error.reason, reason, error.message);
    assert.match(error.message, text);
    if (where !== undefined) assert.equal(error.detail.where, where);
    return true;
  });
}
const subnets = [{ cidr: "10.1.0.0/16" }];

test("a wrong shape is named by its path", () => {
  const cases: readonly (readonly [unknown, RegExp, string])[] = [
    [{ spec: { subnets: [{ cidr: 5 }] } }, /^spec.subnets\[0\].cidr: expected a string, got 5/, "spec.subnets[0].cidr"],
    [{ spec: { subnets: [{}] } }, /spec.subnets\[0\].cidr: expected a value, got nothing/, "spec.subnets[0].cidr"],
    [{ spec: { subnets, masquerade: "yes" } }, /spec.masquerade: expected true or false, got "yes"/, "spec.masquerade"],
    [{ spec: { subnets, ipam: "both" } }, /spec.ipam: expected "local" or "global", got "both"/, "spec.ipam"],
    [{ spec: { subnets, nat: true } }, /spec.nat: unknown field/, "spec.nat"],
    [
      { spec: { subnets: [{ cidr: "10.1.0.0/16", prefix: 24 }] } },
      /spec.subnets\[0\].prefix: unknown field/,
      "spec.subnets[0].prefix",
    ],
    [
      { spec: { subnets: [{ cidr: "10.1.0.0/16", hostPrefix: 24.5 }] } },
      /hostPrefix: expected a whole number, got 24.5/,
      "spec.subnets[0].hostPrefix",
    ],
    [{ spec: { subnets: {} } }, /spec.subnets: expected a list, got an object/, "spec.subnets"],
    [{ spec: {} }, /spec.subnets: expected a value/, "spec.subnets"],
    ...[0, -5, 1.5, 2 ** 53].map(
      (size) =>
        [
          { spec: { subnets, ranges: [{ name: "a", type: "ip4", first: "10.0.0.1", size }] } },
          /spec.ranges\[0\].size: expected/,
          "spec.ranges[0].size",
        ] as [unknown, RegExp, string],
    ),
    [
      { spec: { subnets, ranges: [{ name: "a", type: "ip5", size: 1 }] } },
      /spec.ranges\[0\].type: expected "ip4" or "ip6" or/,
      "spec.ranges[0].type",
    ],
    [{ spec: null }, /spec: expected an object, got null/, "spec"],
    [{}, /spec: expected a value, got nothing/, "spec"],
    [{ spec: { subnets }, name: "x" }, /name: unknown field/, "name"],
    [JSON.parse('{"spec": {"subnets": [], "__proto__": {}}}'), /spec/, ""],
    [[], /body: expected an object, got a list/, "body"],
    ["x", /body: expected an object, got a text/, "body"],
    [undefined, /body: expected an object, got nothing/, "body"],
  ];
  for (const [body, text, where] of cases)
    refusal("request-invalid", text, () => parsePut("network", body), where === "" ? undefined : where);
});

test("numbers out of range, other drivers, addresses and networks have reasons of their own", () => {
  const put = (spec: object) => () => parsePut("network", { spec: { subnets, ...spec } });
  refusal("vni-invalid", /spec.vni: expected at most 16777215, got 16777216/, put({ vni: 16_777_216 }), "spec.vni");
  refusal("vni-invalid", /at least 1, got 0/, put({ vni: 0 }));
  refusal("mtu-invalid", /spec.mtu: expected at least 576, got 100/, put({ mtu: 100 }), "spec.mtu");
  refusal("unsupported", /driver "stt" is not supported/, put({ driver: "stt" }), "spec.driver");
  refusal(
    "cidr-invalid",
    /did you mean 10.1.0.0\/16/,
    put({ subnets: [{ cidr: "10.1.2.3/16" }] }),
    "spec.subnets[0].cidr",
  );
  refusal(
    "address-invalid",
    /is not an IP address/,
    put({ subnets: [{ cidr: "10.1.0.0/16", gateway: "x" }] }),
    "spec.subnets[0].gateway",
  );
  refusal(
    "cidr-invalid",
    /vtepSubnets/,
    () => parsePut("vrf", { spec: { vtepSubnets: ["44.128.0.0"] } }),
    "spec.vtepSubnets[0]",
  );
});

test("addresses come out canonical, everything else as it was", () => {
  const spec = {
    subnets: [
      { cidr: "FD00:0:0::/64", gateway: "FD00::0001" },
      { cidr: "10.1.0.0/16", gateway: "none" },
    ],
    description: "x",
  };
  assert.deepEqual(parsePut("network", { spec }), {
    ...spec,
    subnets: [
      { cidr: "fd00::/64", gateway: "fd00::1" },
      { cidr: "10.1.0.0/16", gateway: "none" },
    ],
  });
  assert.deepEqual(parsePut("vrf", { spec: {} }), {});
  const claim = { network: "n", host: "h", owner: "o", ifname: "eth0", netns: "/n" };
  assert.deepEqual(parseEndpointClaim({ ...claim, addresses: ["FD00::0A"], mac: "0A:00:00:00:00:FF" }), {
    ...claim,
    addresses: ["fd00::a"],
    mac: "0a:00:00:00:00:ff",
  });
  refusal(
    "address-invalid",
    /10.1.0.1\/16/,
    () => parseEndpointClaim({ ...claim, addresses: ["10.1.0.1/16"] }),
    "addresses[0]",
  );
  refusal("request-invalid", /addresses\[1\]: expected a string/, () =>
    parseEndpointClaim({ ...claim, addresses: ["10.1.0.1", 7] }),
  );
});

test("a host's claim and report: its prefixes become the networks they cover", () => {
  const claim = { underlay: "FD00::01", underlayMtu: 1500, hostPrefixes: ["10.0.0.5/24", "0.0.0.0/0", "fe80::1/64"] };
  assert.deepEqual(parseJoin("h1", claim), {
    claim: {
      host: "h1",
      underlay: "fd00::1",
      underlayMtu: 1500,
      hostPrefixes: ["10.0.0.0/24", "0.0.0.0/0", "fe80::/64"],
    },
  });
  assert.equal(parseJoin("h1", { ...claim, csr: "x" }).csr, "x");
  refusal("request-invalid", /csr/, () => parseJoin("h1", { ...claim, csr: "" }));
  refusal("request-invalid", /token/, () => parseJoin("h1", { ...claim, token: "x".repeat(32) }));
  refusal("mtu-invalid", /underlayMtu/, () => parseJoin("h1", { ...claim, underlayMtu: 100 }));
  refusal("name-invalid", /cannot be the name of a host/, () => parseJoin("h/1", claim), "name");
  refusal(
    "cidr-invalid",
    /hostPrefixes/,
    () => parseJoin("h1", { ...claim, hostPrefixes: ["10.0.0.5"] }),
    "hostPrefixes[0]",
  );
  const report = {
    host: "h1",
    revision: 1,
    bootId: "b",
    version: "0",
    driftRepaired: 0,
    errors: [],
    networks: [],
    conditions: [],
    hostPrefixes: ["10.0.0.5/24"],
    objects: 0,
  };
  assert.deepEqual(parseReport("h1", report).hostPrefixes, ["10.0.0.0/24"]);
  refusal("request-invalid", /host: expected "h2", as in the path, got "h1"/, () => parseReport("h2", report), "host");
});

test("apply looks at each item by itself", () => {
  const network = { kind: "network", name: "a", spec: { subnets } };
  assert.deepEqual(parseApply({ resources: [network, { kind: "vrf", name: "v", spec: {} }], dryRun: true }), {
    resources: [network, { kind: "vrf", name: "v", spec: {} }],
    dryRun: true,
  });
  const bad = (item: unknown) => () => parseApply({ resources: [network, item] });
  refusal(
    "request-invalid",
    /resources\[1\].kind: expected "network", "vrf", "pool", .*"user", .* or "\w+", got "host"/,
    bad({ kind: "host" }),
    "resources[1].kind",
  );
  refusal(
    "request-invalid",
    /resources\[1\].name: expected a string, got nothing/,
    bad({ kind: "vrf" }),
    "resources[1].name",
  );
  refusal(
    "request-invalid",
    /resources\[1\].spec.subnets\[0\].cidr: expected a string/,
    bad({ ...network, spec: { subnets: [{ cidr: 1 }] } }),
    "resources[1].spec.subnets[0].cidr",
  );
  refusal(
    "cidr-invalid",
    /10.1.0.0/,
    bad({ ...network, spec: { subnets: [{ cidr: "10.1.0.0/33" }] } }),
    "resources[1].spec.subnets[0].cidr",
  );
  refusal(
    "unsupported",
    /driver "pigeon"/,
    bad({ ...network, spec: { subnets, driver: "pigeon" } }),
    "resources[1].spec.driver",
  );
  refusal(
    "request-invalid",
    /expected "auto" or a list, got an object .*; write auto, or a list with an entry for each host: - \{host: h1/,
    bad({ ...network, spec: { subnets, hostAddresses: { h1: "10.1.0.2/16" } } }),
    "resources[1].spec.hostAddresses",
  );
  refusal(
    "request-invalid",
    /expected "auto" or a list, got "all"/,
    bad({ ...network, spec: { subnets, hostAddresses: "all" } }),
    "resources[1].spec.hostAddresses",
  );
  refusal("request-invalid", /resources/, () => parseApply({ resources: {} }), "resources");
  refusal("request-invalid", /resources\[1\]/, bad({ ...network, extra: 1 }));
});

test("names", () => {
  for (const name of ["a", "A.b_c-d", "dcos-with-a-long-name", "9", "a".repeat(253)])
    assert.equal(checkName("network", name, "name"), name);
  for (const name of ["", ".a", "-a", "_a", "a b", "a/b", "a\n", "é", "a".repeat(254)])
    refusal("name-invalid", /cannot be the name of a network/, () => checkName("network", name, "name"), "name");
  for (const name of ["host", "bridge", "default", "none"]) {
    for (const kind of ["network", "vrf"] as const)
      refusal("name-reserved", /container runtimes/, () => checkName(kind, name, "name"));
    assert.equal(checkName("endpoint", name, "name"), name);
  }
});

test("MACs of one interface only", () => {
  assert.equal(parseMac("02:AB:00:00:00:01", "mac"), "02:ab:00:00:00:01");
  for (const mac of ["01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "02:00", "2:0:0:0:0:1"])
    refusal("address-invalid", /unicast MAC/, () => parseMac(mac, "mac"), "mac");
});

test("whatever the JSON, the answer is a value or a Fault with a place and a way out", () => {
  const parsers = [
    (body: unknown) => parsePut("network", body),
    (body: unknown) => parsePut("vrf", body),
    parseEndpointClaim,
    parseApply,
    (body: unknown) => parseJoin("h1", body),
    (body: unknown) => parseReport("h1", body),
  ];
  const keyed = fc.dictionary(
    fc.constantFrom(
      "spec",
      "subnets",
      "resources",
      "kind",
      "name",
      "cidr",
      "addresses",
      "underlay",
      "host",
      "__proto__",
      "constructor",
    ),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(
      fc.oneof(fc.jsonValue(), keyed, fc.record({ resources: fc.array(keyed) }), fc.record({ spec: keyed })),
      (body) => {
        for (const parse of parsers) {
          try {
            parse(body);
          } catch (error) {
            assert.ok(error instanceof Fault, String(error));
            assert.ok((error.detail.where ?? "").length > 0 && error.detail.fix.length > 0, error.message);
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});
