// Every place of the API that takes an address or a network: what has two meanings is refused there, by its path.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { JOIN, claim, closeAll, open, web } from "./lab.ts";

after(closeAll);

const range = (more: object) => ({ spec: { subnets: SUBNETS, ranges: [{ name: "r", ...more }] } });
const SUBNETS = [{ cidr: "10.7.0.0/24" }, { cidr: "fd00:7::/64" }];
const rule = (peer: object) => ({
  spec: { rules: [{ direction: "in", action: "allow", protocol: "all", peer }] },
});
const pool = (more: object) => ({ spec: { ids: { first: 1, last: 9 }, ...more } });

type Place = readonly [method: string, path: string, where: RegExp, body: (bad: string) => object];

const ADDRESSES: readonly Place[] = [
  ["PUT", "networks/n", /gateway/, (bad) => ({ spec: { subnets: [{ cidr: "10.7.0.0/24", gateway: bad }] } })],
  ["PUT", "networks/n", /dns/, (bad) => ({ spec: { subnets: SUBNETS, dns: [bad] } })],
  ["PUT", "networks/n", /ranges\[0\].first/, (bad) => range({ type: "ip4", size: 1, first: bad })],
  ["PUT", "networks/n", /ranges\[0\].first6/, (bad) => range({ type: "ip6-static", size: 1, first6: bad })],
  ["PUT", "networks/n", /gateway/, (bad) => range({ type: "ip4", size: 1, first: "10.7.0.9", gateway: bad })],
  [
    "PUT",
    "networks/n",
    /gateway6/,
    (bad) => range({ type: "ip6-static", size: 1, first6: "fd00:7::9", gateway6: bad }),
  ],
  ["PUT", "networks/n", /dns/, (bad) => range({ type: "ip4", size: 1, first: "10.7.0.9", dns: [bad] })],
  ["PUT", "securitygroups/g", /peer.cidr/, (bad) => rule({ cidr: bad })],
  ["PUT", "securitygroups/g", /peer.first/, (bad) => rule({ first: bad, size: 2 })],
  ["POST", "endpoints", /addresses\[0\]/, (bad) => ({ ...web, owner: "other", addresses: [bad] })],
  [
    "POST",
    "endpoints",
    /allowedAddresses\[0\]/,
    (bad) => ({ ...web, owner: "other", allowedAddresses: [{ address: bad }] }),
  ],
  ["PATCH", "endpoints/web.eth0", /allowedAddresses\[0\]/, (bad) => ({ allowedAddresses: [{ address: bad }] })],
  ["POST", "holds", /first/, (bad) => ({ network: "blue", first: bad, reason: "r", owner: "o" })],
  ["POST", "holds", /last/, (bad) => ({ network: "blue", first: "10.7.0.3", last: bad, reason: "r", owner: "o" })],
  ["POST", "networks/blue/reservations", /first/, (bad) => ({ name: "piece", size: 1, first: bad })],
  ["POST", "hosts/h2/join", /underlay/, (bad) => claim(2, { underlay: bad })],
];

const NETWORKS: readonly Place[] = [
  ["PUT", "networks/n", /subnets\[0\].cidr/, (bad) => ({ spec: { subnets: [{ cidr: bad }] } })],
  ["PUT", "networks/n", /prefix/, (bad) => range({ type: "ip6", size: 1, prefix: bad })],
  ["PUT", "networks/n", /ula/, (bad) => range({ type: "ip6", size: 1, ula: bad })],
  ["PUT", "vrfs/v", /vtepSubnets\[0\]/, (bad) => ({ spec: { vtepSubnets: [bad] } })],
  ["PUT", "pools/p", /reserved\[0\]/, (bad) => pool({ globalSubnets: [{ cidr: "10.<id>.0.0/16" }], reserved: [bad] })],
  ["PUT", "pools/p", /overflow.cidr/, (bad) => pool({ overflow: { cidr: bad, prefix: 120 } })],
  ["PUT", "pools/p", /globalSubnets/, (bad) => pool({ globalSubnets: [{ cidr: bad.replace("0.0", "<id>.0") }] })],
  ["PUT", "securitygroups/g", /peer.cidr/, (bad) => rule({ cidr: bad })],
  ["POST", "hosts/h2/join", /hostPrefixes\[0\]/, (bad) => claim(2, { hostPrefixes: [bad] })],
];

test("addresses and networks that some readers take otherwise are refused wherever they are asked for", async () => {
  const { ask, errors } = await open();
  const { certificate: token } = (await ask("POST", "/v1/hosts/h1/join", claim(1), { token: JOIN })).body;
  await ask("PUT", "/v1/networks/blue", { spec: { subnets: SUBNETS } });
  assert.equal((await ask("POST", "/v1/endpoints", web, { token })).status, 201);
  const mapped = ["::ffff:10.7.0.9", "::FFFF:a07:9"];
  for (const [places, bads] of [
    [ADDRESSES, [...mapped, "010.7.0.9", "10.7.0.9::", "10.7.0.9/24", "fd00:7::9%eth0", "10.7.0.9 "]],
    [NETWORKS, ["::ffff:10.0.0.0/104", "::ffff:0.0.0.0/96", "10.8.0.0/016", "fd00:8::/064", "010.8.0.0/16"]],
  ] as const)
    for (const [method, path, where, body] of places)
      for (const bad of bads) {
        const isHosts = path.includes("hostPrefixes") || where.source.startsWith("hostPrefixes");
        // What a kernel has, its host must be able to say.
        if (isHosts && bad.startsWith("::ffff:")) continue;
        const as = path.includes("join") ? JOIN : path === "endpoints" ? token : undefined;
        const reply = await ask(method, `/v1/${path}`, body(bad), as === undefined ? {} : { token: as });
        const place = `${method} ${path} ${where.source} ${bad}: ${reply.text}`;
        assert.equal(reply.status, 400, place);
        assert.match(reply.body.where ?? "", where, place);
      }
  assert.deepEqual(errors, []);
});
