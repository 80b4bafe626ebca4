// `weft user` and `weft usergroup`: users and their groups as resources, and passwords, which are no part of these.
import type { Command } from "commander";
import { defined } from "../../model/defined.ts";
import type { ResourceOf } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import { connectLogins } from "../input/connect.ts";
import { type RemoteOptions, locateServer } from "../input/locate.ts";
import { type Lists, type Switches, type Texts, listOrNone, repeated, withServer } from "../input/options.ts";
import { misuse } from "../output/error.ts";
import { register as registerKind } from "../resource/noun.ts";
import { askSecret, secretFrom } from "./secretInput.ts";

type PasswordOptions = RemoteOptions & Texts<"passwordFile" | "currentPasswordFile">;

type UserFlags = Texts<"group" | "description"> & Lists<"groups"> & Switches<"enable" | "disable">;

export function register(noun: Command, cli: Cli): void {
  registerKind(noun, cli, "user", {
    add: (command) =>
      command
        .option("--group <name>", "its primary group: that of what it makes")
        .option("--groups <name>", "a further group; an edit says all of them; none: no other; repeatable", repeated)
        .option("--description <text>", "text for people")
        .option("--disable", "from now on it may do nothing")
        .option("--enable", "it may do again what its rights allow"),
    changed: changedUser,
    examples: ["weft user create alice --group red", "weft user create bob --group red --groups blue --groups ops"],
  });
  const passwd = noun
    .command("passwd [name]")
    .description("Set a password: your own, or a user's as an administrator. It ends the user's logins.")
    .option("--password-file <file>", "file with the new password; - for standard input (default: asked)")
    .option("--current-password-file <file>", "file with your current password (default: asked)");
  withServer(passwd).action(cli.verb(setPassword));
}

export function registerGroups(noun: Command, cli: Cli): void {
  registerKind(noun, cli, "usergroup", {
    add: (command) => command.option("--description <text>", "text for people"),
    changed: (before, { description = before?.description }: Texts<"description">) => ({
      ...before,
      ...defined({ description: description || undefined }),
    }),
    examples: ["weft usergroup create red"],
  });
}

function changedUser(before: ResourceOf<"user">["spec"] | undefined, options: UserFlags): object {
  const { group = before?.group, groups, description = before?.description, enable, disable } = options;
  if (group === undefined) throw misuse("--group", "a user has a primary group", "give --group NAME");
  if (enable === true && disable === true)
    throw misuse("--enable", "it cannot be both enabled and disabled", "give one of them");
  const others = groups === undefined ? before?.groups : listOrNone(groups, "--groups");
  const enabled = enable === true ? true : disable === true ? false : before?.enabled;
  const { description: _, ...rest } = before ?? {};
  return { ...rest, group, ...defined({ groups: others, enabled, description: description || undefined }) };
}

async function setPassword({ io }: Cli, named: string | undefined, options: PasswordOptions): Promise<void> {
  const server = await connectLogins(io, options);
  const me = await server.whoAmI();
  const name = named ?? me.user;
  if (name === undefined) throw misuse("name", "it is not known whose password it is", "give the user's name");
  const { passwordFile, currentPasswordFile } = options;
  const current = me.role === "admin" ? undefined : await secretOf("Current password: ", currentPasswordFile);
  const password = await secretOf(`New password of ${name}: `, passwordFile);
  if (passwordFile === undefined && (await secretOf("Again: ", undefined)) !== password)
    throw misuse("password", "the two are not the same; nothing was changed", "type the new password twice");
  await server.setPassword(name, { password, ...(current === undefined ? {} : { current }) });
  const { url } = await locateServer(io, options);
  const again = me.user === name ? `; log in again: weft login` : "";
  io.err(`password of ${name} at ${url} set; logins of ${name} have ended${again}\n`);

  function secretOf(question: string, file: string | undefined): Promise<string> {
    if (file === undefined) return askSecret(io, question, "--password-file");
    return secretFrom(io, file, "--password-file");
  }
}
