// Routes of templates beside those of every kind: networks made from one, copies, and another name.
import { parseInstantiate, parseTemplateName } from "../../model/parse.ts";
import { MATCH, type Parts, type Route, jsonOf, matchOf } from "../route.ts";

export function templateRoutes({ control }: Parts): Route[] {
  return [
    {
      method: "POST",
      path: "/v1/templates/{name}/instantiate",
      summary: "Makes networks from a template, all or none, in the order of their numbers.",
      access: "user",
      body: "InstantiateRequest",
      answers: { 200: "Instantiated", 201: "Instantiated" },
      async handle(call) {
        const request = parseInstantiate(jsonOf(call));
        const dryRun = request.dryRun === true;
        const write = { verb: "instantiate", template: call.name, request } as const;
        const { revision, changes } = await control.writeAs(call.caller, write, { dryRun });
        const networks = changes.flatMap((change) =>
          "put" in change && change.put.kind === "network" ? [change.put] : [],
        );
        return { status: dryRun ? 200 : 201, body: { revision, networks } };
      },
    },
    {
      method: "POST",
      path: "/v1/templates/{name}/clone",
      summary: "A copy of a template under another name.",
      access: "user",
      body: "TemplateName",
      answers: { 201: "Template" },
      write: (call) => ({ verb: "clone-template", template: call.name, name: parseTemplateName(jsonOf(call)).name }),
    },
    {
      method: "POST",
      path: "/v1/templates/{name}/rename",
      summary: "The same template under another name.",
      access: "user",
      headers: MATCH,
      body: "TemplateName",
      answers: { 200: "Template", 201: "Template" },
      write: (call) => ({
        verb: "rename-template",
        template: call.name,
        name: parseTemplateName(jsonOf(call)).name,
        ...matchOf(call),
      }),
    },
  ];
}
