// Routes about addresses: who had what, holds, and reservations (pieces of a global network).
import { parseAddressOrMac, parseHold, parseRelease, parseReserve } from "../../model/parse.ts";
import { defined } from "../../model/defined.ts";
import { LIMIT, MATCH, type Parts, type Route, jsonOf, limitIn, matchOf, numberIn, viewerOf } from "../route.ts";

export function addressRoutes({ control }: Parts): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/leases/history",
      summary: "Who had an address, from when to when; to users, in networks that they manage, and their endpoints.",
      access: "user",
      query: {
        address: "An IP address; or a MAC, of leases that have none.",
        network: "Only in this network.",
        at: "Only who had it then, in ms since 1970.",
        since: "Only who had it at some time from then on, in ms since 1970.",
        before: "Only who had it at some time before.",
        ...LIMIT,
      },
      answers: { 200: "LeaseHistory" },
      async handle(call) {
        const ms = (name: string) => numberIn(call, name, 0, Number.MAX_SAFE_INTEGER - 1);
        const atMs = ms("at");
        const sinceMs = atMs ?? ms("since");
        const beforeMs = atMs === undefined ? ms("before") : atMs + 1;
        const { network } = call.query;
        const query = {
          address: parseAddressOrMac(call.query["address"] ?? "", "?address"),
          ...defined({ network, sinceMs, beforeMs }),
          limit: limitIn(call),
        };
        return { body: { items: await control.leaseHistory(query, viewerOf(call)) } };
      },
    },
    {
      method: "POST",
      path: "/v1/holds",
      summary: "Keeps addresses or MACs of a global network from everybody.",
      access: "user",
      body: "HoldRequest",
      answers: { 201: "Hold" },
      write: (call) => ({ verb: "hold", request: parseHold(jsonOf(call)) }),
    },
    {
      method: "DELETE",
      path: "/v1/holds",
      summary: "Releases held addresses: all of a span, of which every one must be held.",
      access: "user",
      query: { network: "Its name.", first: "An IP address, or a MAC.", last: "Default: first alone." },
      answers: { 200: "Done" },
      write: (call) => ({ verb: "release", span: parseRelease(call.query) }),
    },
    {
      method: "POST",
      path: "/v1/networks/{name}/reservations",
      summary: "Gives a contiguous piece of a global network to a reservation: a new one, or one that is there.",
      access: "user",
      headers: { ...MATCH, "If-None-Match": "*: only if there is no such reservation yet." },
      body: "ReserveRequest",
      answers: { 200: "Network", 201: "Network" },
      write: (call) => ({ verb: "reserve", network: call.name, request: parseReserve(jsonOf(call)), ...matchOf(call) }),
    },
  ];
}
