// Apcera's cluster.conf as it was written, and every way of writing it wrong.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, type Reason } from "../../../../src/model/fault.ts";
import { parseApceraConfig } from "../../../../src/ancestors/apcera/config.ts";
import { type Value, readConf } from "../../../../src/ancestors/apcera/reader.ts";
import { applyOf } from "../../../../src/ancestors/apcera/resources.ts";

const parse = (text: string) => parseApceraConfig(text, "cluster.conf");

function refuses(reason: Reason, text: RegExp, where: string, conf: string): void {
  assert.throws(
    () => parse(conf),
    (error) => {
      assert.ok(error instanceof Fault, String(error));
      assert.deepEqual([error.reason, error.detail.where], [reason, where], error.message);
      assert.match(error.message, text);
      return true;
    },
  );
}

const WHOLE = `# Comments of both kinds, and all ways to separate.
provisioner { type: generic }
machines: {
  central: {
    hosts: [ "10.0.0.1"  "10.0.0.2", 10.0.0.3 ]   // no comma needed
    suitable_tags: [
      "router"
      "job-manager"
    ]
  }
}
components: { router: 1, instance-manager: 3 }
chef: {
  "continuum": {
    "cluster_name": "a \\"quoted\\" name",
    "cluster": {
      # Their own subnet
      "subnet": "10.3.0.0/16"
    },
    "vxlan_enabled": true,
    "enable_local_ipam": true,
    "certificate": (-----BEGIN CERTIFICATE-----
a#b{c}
-----END CERTIFICATE-----),
  },
  apzabbix = { db { hostport: 'db:5432' } }
};
`;

test("a whole cluster.conf: what is about networks is read, the rest is named", () => {
  assert.deepEqual(parse(WHOLE), {
    ipam: "local",
    driver: "vxlan",
    clusterSubnets: ["10.3.0.0/16"],
    notes: [
      "ignored, not about virtual networks: provisioner, machines, components, chef.apzabbix, " +
        "chef.continuum.cluster_name, chef.continuum.certificate",
    ],
  });
});

test("Apcera's own defaults: VXLAN, addresses from the center", () => {
  const { ipam, clusterSubnets, notes } = parse("chef: { continuum: { } }");
  assert.deepEqual([ipam, clusterSubnets], ["global", []]);
  assert.match(notes.join(), /only addresses and routes of joined hosts/);
});

test("the cluster's own subnets are read from both keys, and no key beside them is passed over", () => {
  const of = (inner: string) => `chef: {\n  continuum: {\n    cluster: { ${inner} }\n  }\n}\n`;
  const both = of('subnet: "10.3.0.0/16", subnets: ["10.50.0.0/16" 10.60.0.0/24]');
  assert.deepEqual(parse(both).clusterSubnets, ["10.3.0.0/16", "10.50.0.0/16", "10.60.0.0/24"]);
  const [pool] = applyOf(parse(both)).resources;
  assert.ok(pool?.kind === "pool");
  assert.deepEqual(pool.spec.reserved, ["10.3.0.0/16", "10.50.0.0/16", "10.60.0.0/24"]);
  for (const [inner, text, path] of [
    ['subnets: "10.3.0.0/16"', /must be a list of subnets/, "subnets"],
    ["subnets: []", /must be a list of subnets in quotes, not an empty list/, "subnets"],
    ["subnets: [{}]", /must be a subnet in quotes/, "subnets[0]"],
    ['subnets: ["10.3.0.0/16", "10.3.0.0/016"]', /begins with a zero/, "subnets[1]"],
    ['subnet: "10.3.0.0/16", subnets: ["10.3.0.0/16"]', /given twice/, "subnets[0]"],
    ['subnetz: ["10.3.0.0/16"]', /"subnetz" is no key of cluster/, "subnetz"],
    ["name: x", /"name" is no key of cluster.*subnet and subnets/, "name"],
  ] as const)
    assert.throws(
      () => parse(of(inner)),
      (error) =>
        error instanceof Fault &&
        text.test(error.message) &&
        new RegExp(`^cluster.conf:3:\\d+ chef.continuum.cluster.${path.replaceAll(/[[\]]/g, "\\$&")}$`).test(
          error.detail.where ?? "",
        ),
      inner,
    );
});

test("words, texts, lists and blocks come out as they were written", () => {
  const plain = (v: Value): unknown => {
    if (v.type === "word") return v.quoted ? { text: v.text } : v.text;
    if (v.type === "list") return v.items.map(plain);
    return Object.fromEntries([...v.members].map(([key, each]) => [key, plain(each)]));
  };
  assert.deepEqual(plain(readConf('a.b = -1.5 // x\n"c d" [ {} [] "\\t" ]\ne{f:http://g/h}\ni: (a\nb)', "f")), {
    "a.b": "-1.5",
    "c d": [{}, [], { text: "\t" }],
    e: { f: "http://g/h" },
    i: { text: "a\nb" },
  });
});

test("wrong types are refused where they stand", () => {
  const block = (inner: string) => `chef: {\n  continuum: {\n    ${inner}\n  }\n}\n`;
  const at = (column: number, path: string) => `cluster.conf:3:${column} chef.continuum.${path}`;
  refuses(
    "request-invalid",
    /must be true or false, not the text "true".*remove the quotes/,
    at(24, "enable_local_ipam"),
    block('enable_local_ipam: "true"'),
  );
  refuses("request-invalid", /must be true or false, not 1/, at(20, "vxlan_enabled"), block("vxlan_enabled: 1"));
  refuses(
    "request-invalid",
    /must be true or false, not a list/,
    at(20, "vxlan_enabled"),
    block("vxlan_enabled: [true]"),
  );
  refuses(
    "request-invalid",
    /must be a block in braces, not 10\.0\.0\.0\/16/,
    at(14, "cluster"),
    block("cluster: 10.0.0.0/16"),
  );
  refuses(
    "request-invalid",
    /must be a subnet in quotes, not a block/,
    at(24, "cluster.subnet"),
    block("cluster: { subnet: {} }"),
  );
  refuses(
    "cidr-invalid",
    /did you mean 10\.3\.0\.0\/16/,
    at(24, "cluster.subnet"),
    block('cluster: { subnet: "10.3.0.1/16" }'),
  );
  refuses("request-invalid", /must be a block in braces, not an empty list/, "cluster.conf:1:7 chef", "chef: []");
});

test("what is no such file is refused where it stops being one", () => {
  refuses(
    "request-invalid",
    /"{" is never closed/,
    "cluster.conf:1:7",
    'chef: {\n  "continuum": {\n    "vxlan_enabled": true,\n  }\n',
  );
  refuses("request-invalid", /"\[" is never closed/, "cluster.conf:1:4", "a: [ b");
  refuses("request-invalid", /quote is never closed/, "cluster.conf:1:4", 'a: "b\n');
  refuses("request-invalid", /"\(" is never closed/, "cluster.conf:2:4", "\na: (b\n");
  refuses("request-invalid", /escape is unknown/, "cluster.conf:1:6", 'a: "b\\q"');
  refuses("request-invalid", /"a" is given twice/, "cluster.conf:2:1", "a: 1\na: 2");
  refuses("request-invalid", /expected a key, got "}"/, "cluster.conf:1:6", "a: 1 }");
  refuses("request-invalid", /expected a value, got the end of the file/, "cluster.conf:1:3", "a:");
  refuses("request-invalid", /expected a key, got "<"/, "cluster.conf:1:5", "a: {<%= erb %> }");
  refuses("request-invalid", /says nothing about virtual networks/, "cluster.conf", "machines: {}");
  refuses("request-invalid", /says nothing about virtual networks/, "cluster.conf", "");
});

test("the pool, with another name and another overflow", () => {
  const [item] = applyOf(parse(WHOLE), { pool: "old", overflow: "172.16.0.0/12" }).resources;
  assert.deepEqual(item, {
    kind: "pool",
    name: "old",
    spec: {
      driver: "vxlan",
      ipam: "local",
      ids: { first: 1, last: 255 },
      globalSubnets: [{ cidr: "192.168.<id>.0/24" }],
      localSubnets: [{ cidr: "10.<id>.0.0/16", hostPrefix: 24 }],
      reserved: ["10.3.0.0/16"],
      overflow: { cidr: "172.16.0.0/12", prefix: 20, hostPrefix: 26 },
    },
  });
  assert.throws(() => applyOf(parse(WHOLE), { overflow: "10.224.0.1/12" }), /--overflow/);
});
