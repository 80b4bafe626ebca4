// What a runtime may send, and what each mistake is called.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Code, type CniRefusal, errorJson, refusalOf } from "../../../../src/doors/cni/refusal.ts";
import { argsOf, decode, partsOf, type Request, requestOf, VERSIONS } from "../../../../src/doors/cni/request.ts";
import { Fault } from "../../../../src/model/fault.ts";

const ENV = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "c1",
  CNI_NETNS: "/run/netns/c1",
  CNI_IFNAME: "eth0",
};
const CONF = { cniVersion: "1.1.0", name: "lan", type: "weft", network: "blue" };

function ask(conf: object, env: Readonly<Record<string, string | undefined>> = {}): Request {
  const all = Object.entries({ ...ENV, ...env }).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const request = requestOf(new Map(all), decode(JSON.stringify(conf)));
  assert(request.command !== "VERSION");
  return request;
}

/** The call is refused with this code and a message that names what is wrong. */
function refuses(code: Code, message: RegExp, call: () => unknown): void {
  assert.throws(call, (error: CniRefusal) => {
    assert.equal(refusalOf(error).code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

test("what the shim sends comes apart again, whatever is in it", () => {
  const text = fc.string({ unit: "binary" }).filter((one) => !one.includes("\0"));
  const pair = fc.tuple(fc.stringMatching(/^CNI_[A-Z]{1,9}$/), text);
  fc.assert(
    fc.property(fc.uniqueArray(pair, { selector: ([key]) => key }), fc.string({ unit: "binary" }), (pairs, input) => {
      const message = Buffer.from(`${pairs.map(([key, value]) => `${key}=${value}\0`).join("")}\0${input}`);
      const parts = partsOf(message);
      assert.deepEqual(parts.environment, new Map(pairs.map(([k, v]) => [k, Buffer.from(v).toString()])));
      assert.equal(parts.input, Buffer.from(input).toString());
    }),
  );
  refuses("decode", /not a request/, () => partsOf(Buffer.from("CNI_COMMAND=ADD")));
});

test("a whole request", () => {
  const conf = {
    ...CONF,
    slice: "docker",
    ipam: {},
    dns: { nameservers: ["10.0.0.1"], domain: "lab", search: ["a.lab"], options: ["ndots:2"] },
    capabilities: { ips: true, mac: true, dns: true, portMappings: true },
    runtimeConfig: { ips: ["10.7.0.9/16", "fd07::9"], mac: "02:00:00:00:00:0A", portMappings: [], bandwidth: {} },
    args: { labels: { a: "b" } },
    "cni.dev/attachment-id": "x",
  };
  assert.deepEqual(ask(conf), {
    command: "ADD",
    containerId: "c1",
    netns: "/run/netns/c1",
    ifname: "eth0",
    config: {
      version: "1.1.0",
      name: "lan",
      network: "blue",
      slice: "docker",
      selection: {},
      addresses: ["10.7.0.9", "fd07::9"],
      mac: "02:00:00:00:00:0a",
      dns: { nameservers: ["10.0.0.1"], domain: "lab", search: ["a.lab"], options: ["ndots:2"] },
    },
  });
});

test("labels of the endpoint, as they are written", () => {
  const labels = { Tier: "web", "example.org/app": "" };
  assert.deepEqual(ask({ ...CONF, labels }).config.labels, labels);
  assert.equal(ask({ ...CONF, labels: {} }).config.labels, undefined);
  for (const wrong of [["a"], "a=b", { a: 1 }])
    refuses("config", /labels: expected an object of texts/, () => ask({ ...CONF, labels: wrong }));
  refuses("config", /"a b" cannot be the key of a label/, () => ask({ ...CONF, labels: { "a b": "" } }));
  assert.equal(ask({ ...CONF, labels: { "a b": "" } }, { CNI_COMMAND: "DEL" }).config.labels, undefined);
});

test("a network that is to be selected", () => {
  const given = { requires: "zone = a", rank: "FREE_LEASES", policy: "rank", differentNetworks: true };
  assert.equal(ask({ ...CONF, userTokenFile: "/run/t" }).config.userTokenFile, "/run/t");
  assert.deepEqual(ask({ ...CONF, network: "auto", ...given }).config.selection, given);
  refuses("config", /policy: expected one of packing, striping/, () => ask({ ...CONF, policy: "best" }));
  refuses("config", /requires: expected text/, () => ask({ ...CONF, requires: 5 }));
  refuses("config", /differentNetworks: expected true or false/, () => ask({ ...CONF, differentNetworks: "yes" }));
});

test("addresses and MAC come in three ways; what the runtime says wins, and contradictions are refused", () => {
  const ips = (conf: object, args?: string) => ask({ ...CONF, ...conf }, { CNI_ARGS: args }).config.addresses;
  assert.deepEqual(ips({ args: { cni: { ips: ["10.7.0.3", "fd07::3/64"] } } }), ["10.7.0.3", "fd07::3"]);
  assert.deepEqual(ips({}, "IP=10.7.0.4;IgnoreUnknown=true;K8S_POD_NAME=web"), ["10.7.0.4"]);
  assert.deepEqual(ips({ runtimeConfig: { ips: ["10.7.0.4/16"] } }, "IP=10.7.0.4"), ["10.7.0.4"], "said twice");
  refuses("config", /both 10.7.0.4 and 10.7.0.5/, () => ips({ runtimeConfig: { ips: ["10.7.0.4", "10.7.0.5"] } }));
  refuses("config", /"nowhere"/, () => ips({ runtimeConfig: { ips: ["nowhere"] } }));
  const mac = (conf: object, args: string) => ask({ ...CONF, ...conf }, { CNI_ARGS: args }).config.mac;
  assert.equal(mac({}, "MAC=02:00:00:00:00:01"), "02:00:00:00:00:01");
  assert.equal(mac({ runtimeConfig: { mac: "02:00:00:00:00:02" } }, "MAC=02:00:00:00:00:01"), "02:00:00:00:00:02");
  refuses("config", /runtimeConfig.mac/, () => mac({ runtimeConfig: { mac: "01:00:00:00:00:02" } }, ""));
});

test("what the runtime says about DNS goes before what the configuration says", () => {
  const conf = {
    ...CONF,
    dns: { nameservers: ["10.0.0.1"], search: ["a"] },
    runtimeConfig: { dns: { servers: ["10.0.0.2"], searches: ["b"], options: ["rotate"] } },
  };
  assert.deepEqual(ask(conf).config.dns, { nameservers: ["10.0.0.2"], search: ["b"], options: ["rotate"] });
  refuses("config", /dns.nameservers: expected a list of text/, () => ask({ ...CONF, dns: { nameservers: [1] } }));
});

test("bandwidth becomes limits: ingress is into the container", () => {
  const qos = (bandwidth: unknown) => ask({ ...CONF, runtimeConfig: { bandwidth } }).config.qos;
  assert.deepEqual(qos({ ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 16_000_000 }), {
    inbound: { average: 8_000_000, burst: 100_000 },
    outbound: { average: 16_000_000 },
  });
  assert.equal(qos({}), undefined);
  refuses("config", /bandwidth.ingressRate: expected a whole number/, () => qos({ ingressRate: "1M" }));
});

test("keys are read in any case, as Go reads them; of two, the exact one counts", () => {
  const odd = {
    CNIVersion: "1.1.0",
    NAME: "lan",
    type: "weft",
    Network: "blue",
    RuntimeConfig: {
      IPS: ["10.7.0.9"],
      Mac: "02:00:00:00:00:0a",
      Bandwidth: { IngressRate: 8_000_000, IngressBurst: 4_294_967_295, EgressRate: 0, EgressBurst: 4_294_967_295 },
      DNS: { Servers: ["10.0.0.2"], Searches: ["b"], Options: ["rotate"] },
      PortMappings: [],
    },
    Dns: { Domain: "lab" },
    IPAM: { Type: "" },
    DefaultRoute: true,
  };
  const { config } = ask(odd);
  assert.deepEqual([config.name, config.network, config.defaultRoute], ["lan", "blue", true]);
  assert.deepEqual([config.addresses, config.mac], [["10.7.0.9"], "02:00:00:00:00:0a"]);
  assert.equal(config.qos?.inbound === undefined || config.qos.inbound === "none", false);
  assert.equal(config.qos?.outbound, undefined);
  assert.deepEqual(config.dns, { domain: "lab", nameservers: ["10.0.0.2"], search: ["b"], options: ["rotate"] });
  assert.deepEqual(ask({ ...CONF, args: { CNI: { Ips: ["10.7.0.3"] } } }).config.addresses, ["10.7.0.3"]);
  assert.equal(ask({ ...CONF, Network: "red" }).config.network, "blue");
  assert.equal(ask({ Network: "red", ...CONF }).config.network, "blue");
  refuses("unsupported", /Mtu/, () => ask({ ...CONF, Mtu: 1400 }));
  refuses("unsupported", /ipam/, () => ask({ ...CONF, IPAM: { TYPE: "host-local" } }));
  refuses("unsupported", /portMappings/, () => ask({ ...CONF, RuntimeConfig: { PortMappings: [{ HostPort: 80 }] } }));
  const gc = { ...CONF, "CNI.dev/Valid-Attachments": [{ ContainerId: "a", IfName: "eth0" }] };
  assert.deepEqual(ask(gc, { CNI_COMMAND: "GC" }).config.valid, [{ containerId: "a", ifname: "eth0" }]);
  const { prevResult } = ask({ ...CONF, prevResult: { Routes: [{ Dst: "0.0.0.0/0" }], IPs: [] } }).config;
  assert.deepEqual(prevResult, { routes: [{ dst: "0.0.0.0/0" }], ips: [] });
});

/** Each is a configuration that an ADD refuses. */
const MUTILATED: readonly object[] = [
  { cniVersion: "9.9.9" },
  { cniVersion: undefined },
  { cniVersion: 7 },
  { name: undefined },
  { name: "a b" },
  { name: ["lan"] },
  { network: undefined },
  { network: 7 },
  { slice: true },
  { mtu: 1400 },
  { ipam: { type: "host-local" } },
  { ipam: "static" },
  { ipMasq: "yes" },
  { defaultRoute: "yes" },
  { dns: { nameservers: [1] } },
  { dns: 7 },
  { args: { cni: { ips: "10.7.0.3" } } },
  { runtimeConfig: [] },
  { runtimeConfig: { ips: ["nowhere"] } },
  { runtimeConfig: { mac: "x" } },
  { runtimeConfig: { bandwidth: { ingressRate: "1M" } } },
  { runtimeConfig: { portMappings: [{ hostPort: 80 }] } },
  { runtimeConfig: { aliases: { blue: ["web"] } } },
  { prevResult: [] },
];

test("DEL, GC and CHECK take any configuration, whatever an ADD says to it", () => {
  const whole = { ...CONF, "cni.dev/valid-attachments": [], prevResult: {} };
  for (const mutilation of MUTILATED) {
    const conf = { ...whole, ...mutilation };
    const what = JSON.stringify(mutilation);
    assert.throws(() => ask(conf), `ADD refuses ${what}`);
    for (const command of ["DEL", "GC", "CHECK"]) {
      const { config, containerId } = ask(conf, { CNI_COMMAND: command, CNI_ARGS: "nonsense" });
      assert.equal(containerId, command === "GC" ? "" : "c1", what);
      assert.equal(config.name, "name" in mutilation ? "" : "lan", what);
      assert.equal(config.network, "network" in mutilation ? "" : "blue", what);
    }
  }
});

test("code 1: a version that is not spoken, or that has no such command", () => {
  for (const cniVersion of ["0.1.0", "0.2.0", "1.2.0", "nonsense"])
    refuses("version", new RegExp(`"${cniVersion}" is not supported`), () => ask({ ...CONF, cniVersion }));
  refuses("version", /"0.1.0"/, () => ask({ ...CONF, cniVersion: undefined }));
  for (const cniVersion of VERSIONS) assert.equal(ask({ ...CONF, cniVersion }).config.version, cniVersion);
  const since = { CHECK: "0.4.0", STATUS: "1.1.0", GC: "1.1.0" } as const;
  for (const [command, first] of Object.entries(since)) {
    for (const cniVersion of VERSIONS) {
      const conf = { ...CONF, cniVersion, prevResult: {}, "cni.dev/valid-attachments": [] };
      const call = () => ask(conf, { CNI_COMMAND: command });
      if (cniVersion < first) refuses("version", new RegExp(`no ${command} in CNI ${cniVersion}`), call);
      else assert.equal(call().command, command);
    }
  }
});

test("code 2: what Weft would have to ignore is refused, with key and value", () => {
  const unsupported: [object, RegExp][] = [
    [{ mtu: 1400 }, /mtu is not supported: 1400/],
    [{ ipam: { type: "host-local" } }, /ipam .*host-local/],
    [{ runtimeConfig: { portMappings: [{ hostPort: 80, containerPort: 80 }] } }, /portMappings .*"hostPort":80/],
    [{ runtimeConfig: { bandwidth: { rate: 1 } } }, /bandwidth.rate .*1/],
    [{ runtimeConfig: { aliases: { blue: ["web"] } } }, /aliases .*web/],
    [{ runtimeConfig: { infinibandGUID: "c2" } }, /infinibandGUID .*c2/],
  ];
  for (const [more, message] of unsupported) refuses("unsupported", message, () => ask({ ...CONF, ...more }));
});

test("code 4: variables that are missing or wrong, by name", () => {
  const wrong: [Record<string, string | undefined>, RegExp][] = [
    [{ CNI_COMMAND: "SHOUT" }, /CNI_COMMAND is invalid: "SHOUT"/],
    [{ CNI_COMMAND: undefined }, /CNI_COMMAND is missing/],
    [{ CNI_CONTAINERID: undefined }, /CNI_CONTAINERID is missing/],
    [{ CNI_CONTAINERID: "-x" }, /CNI_CONTAINERID is invalid: "-x"/],
    [{ CNI_IFNAME: "a/b" }, /CNI_IFNAME is invalid: "a\/b"/],
    [{ CNI_IFNAME: "sixteenletters-x" }, /CNI_IFNAME/],
    [{ CNI_NETNS: undefined }, /CNI_NETNS is missing/],
    [{ CNI_NETNS: "netns" }, /CNI_NETNS is invalid: "netns"/],
    [{ CNI_NETNS: "/proc/self/ns/net" }, /CNI_NETNS/],
    [{ CNI_ARGS: "IP" }, /CNI_ARGS is invalid: "IP"/],
    [{ CNI_ARGS: "IP=x" }, /CNI_ARGS .*IP=x/],
    [{ CNI_ARGS: "MAC=x" }, /CNI_ARGS .*MAC=x/],
    [{ CNI_ARGS: "K8S_POD_NAME=web" }, /CNI_ARGS .*K8S_POD_NAME/],
    [{ CNI_ARGS: "K8S_POD_NAME=web;IgnoreUnknown=0" }, /CNI_ARGS/],
  ];
  for (const [env, message] of wrong) refuses("environment", message, () => ask(CONF, env));
  assert.equal(ask(CONF, { CNI_COMMAND: "DEL", CNI_NETNS: undefined }).netns, "", "a container that is gone");
  assert.deepEqual(argsOf(";IgnoreUnknown=1;;FOO=BAR"), {});
  assert.deepEqual(argsOf("IgnoreUnknown=0"), {}, "there is nothing to ignore");
});

test("what is empty says nothing, in whatever way it is empty; what is no list of text is refused", () => {
  const plain = ask(CONF).config;
  const places: readonly ((value: unknown) => object)[] = [
    (value) => ({ dns: value }),
    (value) => ({ dns: { nameservers: value } }),
    (value) => ({ args: { cni: { ips: value } } }),
    ...["ips", "mac", "dns", "bandwidth", "portMappings"].map((key) => (value: unknown) => ({
      runtimeConfig: { [key]: value },
    })),
    (value) => ({ runtimeConfig: { dns: { servers: value } } }),
  ];
  for (const place of places)
    for (const value of [undefined, null, "", {}, []])
      assert.deepEqual(ask({ ...CONF, ...place(value) }).config, plain, JSON.stringify(place(value)));
  for (const value of ["10.0.0.1", 7, true, [7], { a: 1 }]) {
    refuses("config", /dns.nameservers: expected a list/, () => ask({ ...CONF, dns: { nameservers: value } }));
    refuses("config", /runtimeConfig.ips: expected a list/, () => ask({ ...CONF, runtimeConfig: { ips: value } }));
  }
});

test("code 6: what is no JSON object", () => {
  for (const text of ["", "{", "[]", "null", "7"]) refuses("decode", /configuration is not/, () => decode(text));
});

test("code 7: a configuration that does not make sense", () => {
  const wrong: [object, RegExp][] = [
    [{ network: undefined }, /network: expected a value/],
    [{ name: undefined }, /name: expected a value/],
    [{ name: "a b" }, /name: "a b"/],
    [{ network: 7 }, /network: expected text/],
    [{ slice: true }, /slice: expected text/],
    [{ defaultRoute: "yes" }, /defaultRoute: expected true or false/],
    [{ prevResult: [] }, /prevResult: expected an object/],
    [{ runtimeConfig: [] }, /runtimeConfig: expected an object/],
  ];
  for (const [more, message] of wrong) refuses("config", message, () => ask({ ...CONF, ...more }));
  refuses("config", /prevResult/, () => ask(CONF, { CNI_COMMAND: "CHECK" }));
  for (const list of [undefined, {}, [{ containerID: "a" }], ["a"]]) {
    const conf = { ...CONF, "cni.dev/valid-attachments": list };
    refuses("config", /valid-attachments/, () => ask(conf, { CNI_COMMAND: "GC" }));
  }
});

test("a Fault of the agent's has a code, and says why and what to do", () => {
  const fault = new Fault("exhausted", { what: "no address is free", why: "all are in use", fix: "detach something" });
  assert.deepEqual(JSON.parse(errorJson(fault, "0.4.0")), {
    cniVersion: "0.4.0",
    code: 100,
    msg: "no address is free",
    details: "all are in use; detach something",
  });
  assert.equal(refusalOf(new Fault("unavailable", { what: "", fix: "" })).code, "try-again");
  assert.equal(refusalOf(Object.assign(new Error("ENOSPC: full"), { syscall: "write" })).code, "io");
  assert.equal(refusalOf(new TypeError("undefined is not a function")).code, "internal");
});

test("what is said back of a value is not longer than a line or two", () => {
  const long = "x".repeat(5000);
  const saidOf = (call: () => unknown): string => {
    try {
      call();
    } catch (error) {
      return (error as Error).message;
    }
    return assert.fail("not refused");
  };
  const cut = (length: number) => "x".repeat(length);
  assert.equal(
    saidOf(() => ask({ ...CONF, name: ` ${long}` })),
    `name: " ${cut(79)}" cannot be a name`,
  );
  assert.equal(
    saidOf(() => ask(CONF, { CNI_CONTAINERID: long })),
    `CNI_CONTAINERID is invalid: "${cut(80)}"`,
  );
  assert.equal(
    saidOf(() => ask({ ...CONF, mtu: long })),
    `mtu is not supported: "${cut(199)}`,
  );
});
