// `weft sg`: security groups, whom they concern, and how far a change of one has come.
import type { Command } from "commander";
import { Fault } from "../../model/fault.ts";
import type { SecurityGroupSpec } from "../../model/group.ts";
import type { SecurityGroup } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import { isSame, sameText } from "../output/changes.ts";
import { connect } from "../input/connect.ts";
import { count } from "../io.ts";
import { RULE_HELP, ruleOf, ruleText } from "./rule.ts";
import { registerStatus } from "./status.ts";
import {
  withOutput,
  withServer,
  repeated,
  withWait,
  wholeNumber,
  type ReadOptions,
  type WriteOptions,
} from "../input/options.ts";
import { byName, fields, printOne, type Column } from "../output/format.ts";
import { nameExists, registerDelete, registerList } from "../resource/verbs.ts";
import { waitFor } from "../change/wait.ts";

type RuleFlags = {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly remove?: readonly string[];
  readonly keepFlows?: boolean;
  readonly description?: string;
};

export function register(noun: Command, cli: Cli): void {
  registerList(noun, cli, "securitygroup", { about: "List security groups.", columns: COLUMNS, empty: "No groups." });

  const show = noun
    .command("show")
    .argument("<name>")
    .description("Show a security group: its rules, numbered, and the networks and endpoints that have it.");
  withOutput(withServer(show)).action(cli.verb((name: string, options: ReadOptions) => showGroup(cli, name, options)));

  const create = noun
    .command("create")
    .argument("<name>")
    .description("Create a security group. Traffic that no rule of an endpoint's groups allows is dropped.")
    .addHelpText(
      "after",
      `${RULE_HELP}

Examples:
  weft sg create web --allow in:tcp:80,443 --allow in:icmp:8 --allow out:all
  weft sg create db --allow in:tcp:5432:from=group/web --deny in:all:from=10.9.0.0/16:priority=10`,
    );
  withWait(withServer(ruleFlags(create))).action(
    cli.verb((name: string, options: RuleFlags & WriteOptions) => createGroup(cli, name, options)),
  );

  const edit = noun
    .command("edit")
    .argument("<name>")
    .description("Add and remove rules, for all endpoints of the group at once.")
    .option("--remove <n>", "remove the rule with this number (see weft sg show); repeatable", repeated)
    .addHelpText("after", RULE_HELP);
  withWait(withServer(ruleFlags(edit))).action(
    cli.verb((name: string, options: RuleFlags & WriteOptions) => editGroup(cli, name, options)),
  );

  registerDelete(noun, cli, "securitygroup", {
    about: "Delete security groups that no network, range or endpoint uses.",
    hasWait: true,
  });
  registerStatus(noun, cli);
}

function ruleFlags(command: Command): Command {
  return command
    .option("--allow <rule>", "add a rule that lets traffic pass; repeatable", repeated)
    .option("--deny <rule>", "add a rule that drops traffic; repeatable", repeated)
    .option("--keep-flows", "existing connections stay open after a change")
    .option("--no-keep-flows", "a change ends connections that are no longer allowed (default)")
    .option("--description <text>", "text that list and show print");
}

const COLUMNS: readonly Column<SecurityGroup>[] = [
  { header: "NAME", of: (g) => g.name },
  { header: "RULES", of: (g) => String(g.spec.rules.length) },
  { header: "KEEPS-FLOWS", of: (g) => (g.spec.keepFlows === true ? "yes" : "no"), wide: true },
  { header: "DESCRIPTION", of: (g) => g.spec.description ?? "" },
];

async function showGroup(cli: Cli, name: string, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const [group, networks, endpoints] = await Promise.all([
    server.get("securitygroup", name),
    server.list("network"),
    server.list("endpoint"),
  ]);
  const having = (
    list: readonly { readonly name: string; readonly spec: { readonly securityGroups?: readonly string[] } }[],
  ) =>
    byName(list.filter(({ spec }) => spec.securityGroups?.includes(name) === true))
      .map((one) => one.name)
      .join(", ");
  await printOne(cli.io, options, { name: `securitygroup/${name}`, value: group }, () => {
    const rules = group.spec.rules.map((rule, i) => `  ${String(i).padStart(3)}  ${ruleText(rule)}\n`).join("");
    return (
      fields(cli.io, [
        ["Name", name],
        ["Description", group.spec.description],
        ["Networks", having(networks)],
        ["Endpoints", having(endpoints)],
        [
          "Flows",
          group.spec.keepFlows === true
            ? "existing connections stay open after a change"
            : "a change ends connections that are no longer allowed",
        ],
        ["Revision", String(group.revision)],
      ]) + (rules === "" ? "\nNo rules: everything is dropped.\n" : `\nRules:\n${rules}`)
    );
  });
}

function rulesIn({ allow = [], deny = [] }: RuleFlags): SecurityGroupSpec["rules"] {
  return [...allow.map((text) => ruleOf("allow", text)), ...deny.map((text) => ruleOf("deny", text))];
}

async function createGroup(cli: Cli, name: string, options: RuleFlags & WriteOptions): Promise<void> {
  const spec = {
    rules: rulesIn(options),
    ...(options.keepFlows === undefined ? {} : { keepFlows: options.keepFlows }),
    ...(options.description === undefined ? {} : { description: options.description }),
  };
  const server = await connect(cli.io, options);
  const group = await server
    .put("securitygroup", name, spec, { createOnly: true })
    .catch(nameExists("group", `securitygroup/${name}`, "sg edit"));
  await waitFor(cli.io, options.wait, group.revision, () => server.status());
  const rules =
    group.spec.rules.length === 0 ? "no rules: it drops everything" : count(group.spec.rules.length, "rule");
  cli.io.err(`security group ${name} created at revision ${group.revision}, ${rules}\n`);
}

async function editGroup(cli: Cli, name: string, options: RuleFlags & WriteOptions): Promise<void> {
  const { allow, deny, remove, keepFlows, description } = options;
  if ([allow, deny, remove, keepFlows, description].every((given) => given === undefined))
    throw new Fault("request-invalid", {
      what: "no change is given",
      fix: "see weft sg edit --help for what can change",
    });
  const server = await connect(cli.io, options);
  const before = await server.get("securitygroup", name);
  const gone = new Set((options.remove ?? []).map((text) => wholeNumber(text, "--remove")));
  const missing = [...gone].find((n) => n !== undefined && n >= before.spec.rules.length);
  if (missing !== undefined)
    throw new Fault("request-invalid", {
      what: `group "${name}" has no rule ${missing}`,
      where: "--remove",
      fix: `see weft sg show ${name}`,
    });
  const { commits: _, ...spec } = before.spec;
  const rules = [...spec.rules.filter((_rule, i) => !gone.has(i)), ...rulesIn(options)];
  const after = await server.put(
    "securitygroup",
    name,
    {
      ...spec,
      rules,
      ...(options.keepFlows === undefined ? {} : { keepFlows: options.keepFlows }),
      ...(options.description === undefined ? {} : { description: options.description }),
    },
    before.revision === 0 ? { createOnly: true } : { ifRevision: before.revision },
  );
  await waitFor(cli.io, options.wait, after.revision, () => server.status());
  if (isSame(before, after)) return cli.io.err(sameText(`security group ${name}`, after));
  cli.io.err(
    `security group ${name} changed at revision ${after.revision}: ${count(after.spec.rules.length, "rule")}\n`,
  );
}
