// Routes about the address space: its map, the selection of a network for an attach, the check of store, journals and
// kernels, and the hosts' answers to it.
import { quotasFor } from "../../control/admit/quotas.ts";
import { selectedIn } from "../../control/select/selected.ts";
import { parseCheck, parseInventory, parseSelect } from "../../model/parse.ts";
import { MATCH, type Parts, type Route, hostOnly, jsonOf, matchOf, missing, viewerOf, HUGE_BODY } from "../route.ts";

export function ipamRoutes({ control }: Parts): Route[] {
  return [
    {
      method: "POST",
      path: "/v1/ipam/check",
      summary: "Compares what the server, every host's journal and every host's kernel say about addresses.",
      access: "admin",
      body: "CheckRequest",
      answers: { 200: "CheckReport" },
      handle: async (call) => ({ body: await control.check(parseCheck(jsonOf(call))) }),
    },
    ...progressRoutes(control),
    {
      method: "GET",
      path: "/v1/networks/{name}/map",
      summary: "Every address of a network, as intervals of one state each; to who manages it.",
      access: "user",
      answers: { 200: "SpaceMap" },
      async handle(call) {
        const map = await control.spaceMap(call.name, viewerOf(call));
        if (map !== undefined) return { body: map };
        throw missing("network", call.name);
      },
    },
    {
      method: "GET",
      path: "/v1/quotas",
      summary: "What users and groups own, and may own at most, of those that the caller may see.",
      access: "user",
      answers: { 200: "Quotas" },
      handle: async (call) => ({ body: { items: await control.read((view) => quotasFor(view, viewerOf(call))) } }),
    },
    {
      method: "POST",
      path: "/v1/networks/select",
      summary: "In which order an attach to any network would select them, and why it would pass over the others.",
      access: "user",
      body: "SelectRequest",
      answers: { 200: "Selected" },
      async handle(call) {
        const request = parseSelect(jsonOf(call));
        return { body: await control.read((view) => selectedIn(view, request, viewerOf(call))) };
      },
    },
    {
      method: "POST",
      path: "/v1/hosts/{name}/inventory",
      summary: "A host's answer to a question that its watch brought.",
      access: "viewer",
      body: "InventoryAnswer",
      bodyLimit: HUGE_BODY,
      answers: { 200: "Done" },
      handle(call) {
        hostOnly(call);
        control.answer(call.name, parseInventory(call.name, jsonOf(call)));
        return { body: { revision: control.revision } };
      },
    },
  ];
}

function progressRoutes(control: Parts["control"]): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/networks/{name}/progress",
      summary: "How far the network's endpoints are with its latest change, by their hosts.",
      access: "viewer",
      answers: { 200: "NetworkProgress" },
      async handle(call) {
        // Only of what the caller may see.
        const network = await control.find("network", call.name, viewerOf(call));
        const progress = network === undefined ? undefined : await control.progress(call.name, viewerOf(call));
        if (progress === undefined) throw missing("network", call.name);
        if (call.identity.role === "admin") return { body: progress };
        // What a kernel refuses may name what is others'.
        return { body: { ...progress, hosts: progress.hosts.map(({ errors: _, ...host }) => host) } };
      },
    },
    {
      method: "POST",
      path: "/v1/networks/{name}/retry",
      summary: "Hosts work on the network again, at a new revision: for those where it failed.",
      access: "user",
      headers: MATCH,
      answers: { 200: "Network" },
      write: (call) => ({ verb: "retry-network", name: call.name, ...matchOf(call) }),
    },
  ];
}
