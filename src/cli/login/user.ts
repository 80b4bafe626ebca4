// `weft user`: users as resources, and their passwords, which are no part of these.
import type { Command } from "commander";
import type { Cli } from "../context.ts";
import { connectLogins } from "../input/connect.ts";
import { type RemoteOptions, locateServer } from "../input/locate.ts";
import { type Texts, withServer } from "../input/options.ts";
import { misuse } from "../output/error.ts";
import { register as registerKind } from "../resource/noun.ts";
import { askSecret, secretFrom } from "./secretInput.ts";

type PasswordOptions = RemoteOptions & Texts<"passwordFile" | "currentPasswordFile">;

export function register(noun: Command, cli: Cli): void {
  registerKind(noun, cli, "user");
  const passwd = noun
    .command("passwd [name]")
    .description("Set a password: your own, or a user's as an administrator. It ends the user's logins.")
    .option("--password-file <file>", "file with the new password; - for standard input (default: asked)")
    .option("--current-password-file <file>", "file with your current password (default: asked)");
  withServer(passwd).action(cli.verb(setPassword));
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
