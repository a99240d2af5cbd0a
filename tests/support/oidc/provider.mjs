// A real OpenID provider for tests, with its own login and consent pages. Who logs in as `ada@example.com` has that address;
// `other|ada@example.com` is another subject with the same one, `unverified:...` has not proved it.
import { Provider } from "oidc-provider";

const [issuer, redirect] = process.argv.slice(2);

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "openhearth",
      client_secret: "a-secret-of-the-client-1234567890",
      redirect_uris: [redirect],
      token_endpoint_auth_method: "client_secret_basic",
    },
  ],
  claims: { email: ["email", "email_verified"], profile: ["name"] },
  pkce: { required: () => true },
  cookies: { keys: ["of-a-test"] },
  async findAccount(_context, id) {
    return {
      accountId: id,
      claims: () => ({
        sub: id,
        name: "Somebody",
        email: id.split("|").at(-1).replace("unverified:", ""),
        email_verified: !id.startsWith("unverified:"),
      }),
    };
  },
});
provider.listen(Number(new URL(issuer).port), "127.0.0.1", () => console.log("ready"));
