// The certified OpenID provider "oidc-provider", with one confidential client that the environment describes. It prints
// "listening on <issuer>" when it answers. What the tests must know and no relying party is told is under /observed.
import { generateKeyPair, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { promisify } from 'node:util'

import { Provider } from 'oidc-provider'

const { CLIENT_ID, CLIENT_SECRET, CALLBACK_URL, LOGOUT_URL, BACKCHANNEL_URL, ACCESS_TOKEN_TTL } = process.env

const server = createServer()
await promisify(server.listen).call(server, 0, '127.0.0.1')
const issuer = `http://127.0.0.1:${server.address().port}`

const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })

const provider = new Provider(issuer, {
  clients: [{
    client_id: CLIENT_ID,
    client_secret: CLIENT_SECRET,
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [CALLBACK_URL],
    post_logout_redirect_uris: [LOGOUT_URL],
    backchannel_logout_uri: BACKCHANNEL_URL,
    backchannel_logout_session_required: true,
  }],
  pkce: { required: () => true },
  // A used refresh token ends its whole grant.
  rotateRefreshToken: true,
  ttl: { AccessToken: Number(ACCESS_TOKEN_TTL), Grant: 86400, IdToken: 3600, Interaction: 3600, RefreshToken: 86400, Session: 86400 },
  features: {
    backchannelLogout: { enabled: true },
    devInteractions: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true }) }),
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }] },
  cookies: { keys: [randomBytes(32).toString('base64url')] },
})

// calls maps what happened to how often, refreshTokens are all that were issued, the newest last: a used one is saved again.
const observed = { calls: {}, refreshTokens: [] }
const count = (what) => { observed.calls[what] = (observed.calls[what] ?? 0) + 1 }
provider.on('grant.success', (ctx) => count(`${ctx.oidc.params.grant_type} ok`))
provider.on('grant.error', (ctx, error) => count(`${ctx.oidc.params?.grant_type} ${error.error}`))
provider.on('refresh_token.saved', (token) => {
  if (!observed.refreshTokens.includes(token.jti)) observed.refreshTokens.push(token.jti)
})
provider.on('backchannel.success', () => count('backchannel ok'))
provider.on('backchannel.error', (_, error) => {
  count('backchannel failed')
  console.log(`back-channel logout: ${error.message}`)
})
provider.on('server_error', (_, error) => console.log(error))

const answer = provider.callback()
server.on('request', (request, response) => {
  if (request.url === '/observed') {
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify(observed))
    return
  }
  answer(request, response)
})
console.log(`listening on ${issuer}`)
