// The actions of a collection in Dart, with the official SDK.

import type { ActionId, Setting } from "./actions";

/** A text as Dart writes it: $ would begin an interpolation. */
export const text = (value: string) => JSON.stringify(value).replaceAll("$", "\\$");

/** A value as Dart writes it. */
export function literal(value: unknown, indent = ""): string {
    if (typeof value === "string") return text(value);
    if (Array.isArray(value)) return `[${value.map((one) => literal(one, indent)).join(", ")}]`;
    if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
    const inner = `${indent}  `;
    const lines = Object.entries(value).map(([key, one]) => `${inner}${text(key)}: ${literal(one, inner)},`);
    return lines.length ? `{\n${lines.join("\n")}\n${indent}}` : "{}";
}

export function dart(id: ActionId, setting: Setting): string {
    const files = id === "create" && setting.files.length;
    return `${files ? "import 'package:http/http.dart' as http;\n" : ""}import 'package:pocketbase/pocketbase.dart';\n${id === "oauth2" ? "import 'package:url_launcher/url_launcher.dart';\n" : ""}
final pb = PocketBase(${text(setting.base)});\n\n${actions[id](setting)}`;
}

const of = ({ collection }: Setting) => `pb.collection(${text(collection.name)})`;
const expand = (setting: Setting) => (setting.expand ? `\n  expand: ${text(setting.expand)},` : "");

const actions: Record<ActionId, (setting: Setting) => string> = {
    list: (setting) => `// A page, 30 records each.
final page = await ${of(setting)}.getList(
  page: 1,
  perPage: 30,
  filter: pb.filter(${text(setting.filter.replace(/= .*$/, "= {:value}"))}, {"value": ${setting.filter.replace(/^.*?= /, "").replaceAll("$", "\\$")}}),
  sort: ${text(setting.sort)},${expand(setting)}
);

// All of them.
final records = await ${of(setting)}.getFullList(sort: ${text(setting.sort)});

// The first that fits.
final first = await ${of(setting)}.getFirstListItem(${text(setting.filter)});`,
    view: (setting) => `final record = await ${of(setting)}.getOne("RECORD_ID"${setting.expand ? `, expand: ${text(setting.expand)}` : ""});`,
    create: (setting) => {
        const files = setting.files.map(({ name }) => `\n    await http.MultipartFile.fromPath(${text(name)}, "/path/to/file"),`).join("");
        return `final record = await ${of(setting)}.create(
  body: ${literal(setting.create, "  ")},${files ? `\n  files: [${files}\n  ],` : ""}
);`;
    },
    update: (setting) => `final record = await ${of(setting)}.update("RECORD_ID", body: ${literal(setting.update)});`,
    delete: (setting) => `await ${of(setting)}.delete("RECORD_ID");`,
    realtime: (setting) => `// All records; "RECORD_ID" instead of "*" for one.
final stop = await ${of(setting)}.subscribe("*", (event) {
  print("\${event.action} \${event.record}");
});

await stop();`,
    batch: (setting) => `final batch = pb.createBatch();

batch.collection(${text(setting.collection.name)}).create(body: ${literal(setting.create)});
batch.collection(${text(setting.collection.name)}).update("RECORD_ID", body: ${literal(setting.update)});
batch.collection(${text(setting.collection.name)}).delete("OTHER_ID");

// All of it, or none.
final results = await batch.send();`,
    files: (setting) => {
        const field = setting.files[0] ?? { name: "file", several: false };
        const name = field.several ? `record.get<List<String>>(${text(field.name)}).first` : `record.get<String>(${text(field.name)})`;
        return `final record = await ${of(setting)}.getOne("RECORD_ID");
final url = pb.files.getURL(record, ${name}, thumb: "100x250");

// Of a protected file: a token that lives for a few minutes.
final token = await pb.files.getToken();
final secret = pb.files.getURL(record, ${name}, token: token);`;
    },
    methods: (setting) => `final methods = await ${of(setting)}.listAuthMethods();`,
    password: (setting) => `final auth = await ${of(setting)}.authWithPassword(${text(setting.identity.value)}, "a-long-password");

// Signed in from now on.
print("\${pb.authStore.isValid} \${auth.record.id}");

pb.authStore.clear();`,
    oauth2: (setting) => `final auth = await ${of(setting)}.authWithOAuth2(${text(setting.provider)}, (url) async {
  await launchUrl(url);
});`,
    otp: (setting) => `final request = await ${of(setting)}.requestOTP("ada@example.com");

// With the code from the mail.
final auth = await ${of(setting)}.authWithOTP(request.otpId, "123456");`,
    refresh: (setting) => `// A fresh token for whoever is signed in.
final auth = await ${of(setting)}.authRefresh();`,
    verification: (setting) => `await ${of(setting)}.requestVerification("ada@example.com");

// With the token from the mail.
await ${of(setting)}.confirmVerification("TOKEN");`,
    passwordReset: (setting) => `await ${of(setting)}.requestPasswordReset("ada@example.com");

// With the token from the mail.
await ${of(setting)}.confirmPasswordReset("TOKEN", "a-new-password", "a-new-password");`,
    emailChange: (setting) => `// By whoever is signed in.
await ${of(setting)}.requestEmailChange("new@example.com");

// With the token from the mail.
await ${of(setting)}.confirmEmailChange("TOKEN", "a-long-password");`,
};
