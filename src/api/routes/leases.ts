// Routes about addresses: who had what, and holds.
import { parseHold, parseAddressOrMac, parseRelease } from "../../model/parse.ts";
import { PAGE_DEFAULT, PAGE_MAX } from "../page.ts";
import type { Parts } from "../parts.ts";
import { type Route, jsonOf, numberIn, putAnswer } from "../route.ts";

export function leaseRoutes({ control }: Parts): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/leases/history",
      summary: "Who had an address, from when to when.",
      access: "admin",
      query: {
        address: "An IP address; or a MAC, of leases that have none.",
        network: "Only in this network.",
        at: "Only who had it then, in ms since 1970.",
        since: "Only who had it at some time from then on, in ms since 1970.",
        before: "Only who had it at some time before.",
        limit: `At most so many (${PAGE_DEFAULT} by default, ${PAGE_MAX} at most).`,
      },
      answers: { 200: "LeaseHistory" },
      async handle(call) {
        const ms = (name: string) => numberIn(call, name, 0, Number.MAX_SAFE_INTEGER - 1);
        const atMs = ms("at");
        const sinceMs = atMs ?? ms("since");
        const beforeMs = atMs === undefined ? ms("before") : atMs + 1;
        const { network } = call.query;
        const items = await control.leaseHistory({
          address: parseAddressOrMac(call.query["address"] ?? "", "?address"),
          ...(network === undefined ? {} : { network }),
          ...(sinceMs === undefined ? {} : { sinceMs }),
          ...(beforeMs === undefined ? {} : { beforeMs }),
          limit: numberIn(call, "limit", 1, PAGE_MAX) ?? PAGE_DEFAULT,
        });
        return { body: { items } };
      },
    },
    {
      method: "POST",
      path: "/v1/holds",
      summary: "Keeps addresses or MACs of a global network from everybody.",
      access: "admin",
      query: {},
      body: "HoldRequest",
      answers: { 201: "Hold" },
      handle: async (call) => putAnswer(await control.write({ verb: "hold", request: parseHold(jsonOf(call)) })),
    },
    {
      method: "DELETE",
      path: "/v1/holds",
      summary: "Releases held addresses: all of a span, of which every one must be held.",
      access: "admin",
      query: { network: "Its name.", first: "An IP address, or a MAC.", last: "Default: first alone." },
      answers: { 200: "Done" },
      async handle(call) {
        const { revision } = await control.write({ verb: "release", span: parseRelease(call.query) });
        return { body: { revision } };
      },
    },
  ];
}
