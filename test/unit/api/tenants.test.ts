// One user asks every route about what is another's: it learns nothing of it and changes nothing.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ADMIN, JOIN, claim, closeAll, open } from "./lab.ts";

after(closeAll);

/** Routes that anybody may ask, and that say nothing of others. */
const OWN = ["/livez", "/readyz", "/openapi.json", "/v1/version", "/v1/login", "/v1/logout", "/v1/whoami"];
const SECRET = "benspriv";

test("every route: nothing of another user's is shown or changed", async () => {
  const api = await open();
  const { ask, control } = api;
  const identify = control.identify.bind(control);
  control.identify = (token) => (token === "ann" ? { role: "user", user: "ann" } : identify(token));
  const must = async (...request: Parameters<typeof ask>) => {
    const reply = await ask(...request);
    assert.ok(reply.status < 300, `${request[1]}: ${reply.text}`);
  };
  await must("PUT", "/v1/usergroups/red", { spec: {} });
  for (const name of ["ann", SECRET]) await must("PUT", `/v1/users/${name}`, { spec: { group: "red" } });
  await must("POST", "/v1/hosts/h1/join", claim(1), { token: JOIN });
  await must("PUT", `/v1/networks/${SECRET}`, { spec: { subnets: [{ cidr: "10.7.0.0/24" }] } });
  await must("PUT", `/v1/securitygroups/${SECRET}`, { spec: { rules: [] } });
  await must("PUT", `/v1/pools/${SECRET}`, { spec: { globalSubnets: [{ cidr: "10.9.<id>.0/24" }] } });
  await must("PUT", `/v1/physicalnetworks/${SECRET}`, { spec: {} });
  const endpoint = { network: SECRET, host: "h1", owner: SECRET, ifname: "eth0", netns: `/run/netns/${SECRET}` };
  await must("POST", "/v1/endpoints", endpoint);
  for (const kind of ["networks", "vrfs", "securitygroups", "pools", "physicalnetworks"])
    await must("POST", `/v1/${kind}/${SECRET}/chown`, { owner: SECRET });
  await must("POST", `/v1/endpoints/${SECRET}.eth0/chown`, { owner: SECRET });
  const { paths } = (await ask("GET", "/openapi.json", undefined, { token: ADMIN })).body as {
    paths: Record<string, object>;
  };
  for (const [path, methods] of Object.entries(paths)) {
    if (OWN.includes(path) || path === "/v1/watch" || path === "/v1/claims") continue;
    for (const method of Object.keys(methods)) {
      const name = path.startsWith("/v1/endpoints") ? `${SECRET}.eth0` : SECRET;
      const before = control.revision;
      const bodies = [{}, { spec: {} }, { mode: "umaumauma" }, { owner: "ann" }, { level: "all" }, { name: "mine" }];
      for (const body of method === "get" ? [undefined] : bodies) {
        const reply = await ask(method.toUpperCase(), path.replace("{name}", name), body, { token: "ann" });
        const route = `${method} ${path} ${JSON.stringify(body)}: ${reply.text.slice(0, 300)}`;
        assert.equal(control.revision, before, `changed something: ${route}`);
        const said = reply.text.replaceAll(path.replace("{name}", name), "").replaceAll(`"${name}"`, "");
        if (reply.status < 300) assert.ok(!said.includes(SECRET), `shows something: ${route}`);
        assert.notEqual(reply.status, 500, route);
      }
    }
  }
});
