import { auth, signedIn } from './client'
import { gone, type Gone } from './gone'
import { authUser, type AuthUser, type RedirectState } from './hub'

export { AuthError, configure } from './client'
export { Hub } from './hub'
export type { AuthUser, Gone }

export type GetCurrentUserOutput = AuthUser

/** The user who is logged in, else a `UserUnAuthenticatedException`. */
export async function getCurrentUser(): Promise<GetCurrentUserOutput> {
  return authUser((await signedIn()).user)
}

export type FetchUserAttributesOutput = Partial<Record<UserAttributeKey, string>>
export type UserAttributeKey = StandardAttributeKey | `custom:${string}`
type StandardAttributeKey =
  | 'address' | 'birthdate' | 'email' | 'email_verified' | 'family_name' | 'gender' | 'given_name' | 'locale' | 'middle_name' | 'name'
  | 'nickname' | 'phone_number' | 'phone_number_verified' | 'picture' | 'preferred_username' | 'profile' | 'sub' | 'updated_at' | 'website'
  | 'zoneinfo'

/** The user's claims as they were at the login or the last refresh: those that the service's `session.claims` lists. */
export async function fetchUserAttributes(): Promise<FetchUserAttributesOutput> {
  const { user } = await signedIn()
  const attributes = Object.entries(user).filter(([, value]) => typeof value !== 'object')
  return Object.fromEntries(attributes.map(([name, value]) => [name, String(value)]))
}

export interface AuthSession {
  userSub?: string
  /** The tokens stay in the service, which adds the access token to calls of the API. */
  tokens?: never
  /** The page has no AWS credentials: S3 is used through `amplify/storage`. */
  credentials?: never
  /** There is no identity pool: the folder is named after the user's `sub`. */
  identityId?: never
}

export interface FetchAuthSessionOptions {
  forceRefresh?: boolean
}

/** Who is logged in, without tokens. `forceRefresh` renews those that the service has. */
export async function fetchAuthSession({ forceRefresh }: FetchAuthSessionOptions = {}): Promise<AuthSession> {
  const session = await (forceRefresh ? auth().refresh() : auth().ready())
  return session.status === 'authenticated' ? { userSub: session.user.sub } : {}
}

export interface SignInWithRedirectInput {
  provider?: 'Amazon' | 'Apple' | 'Facebook' | 'Google' | { custom: string }
  customState?: string
  options?: {
    loginHint?: string
    lang?: string
    prompt?: 'NONE' | 'LOGIN' | 'CONSENT' | 'SELECT_ACCOUNT'
    /** The service makes the nonce and compares it. */
    nonce?: never
    /** The login is in this window. */
    authSessionOpener?: never
    preferPrivateSession?: never
  }
}

/** Cognito's names of the providers that Amplify names otherwise. */
const providers: Record<string, string> = { Amazon: 'LoginWithAmazon', Apple: 'SignInWithApple' }

/** Leaves the page for the login. It comes back to the page where it began. */
export async function signInWithRedirect({ provider, customState, options = {} }: SignInWithRedirectInput = {}): Promise<void> {
  const { loginHint, lang, prompt } = options
  const name = typeof provider === 'object' ? provider.custom : provider && (providers[provider] ?? provider)
  const state: RedirectState = { amplify: true, ...(customState === undefined ? {} : { customState }) }
  auth().login({
    state,
    ...(name ? { provider: name } : {}),
    ...(loginHint ? { loginHint } : {}),
    ...(lang ? { lang } : {}),
    ...(prompt ? { prompt: prompt.toLowerCase() } : {}),
  })
}

export interface SignOutInput {
  /** Ends all sessions of the user, in other browsers too. */
  global: boolean
  oauth?: { redirectUrl?: string }
}

/** Ends the session here and at Cognito, and leaves the page. */
export async function signOut({ global, oauth }: Partial<SignOutInput> = {}): Promise<void> {
  const back = oauth?.redirectUrl
  const { pathname, search } = new URL(back ?? '/', location.href)
  await auth().logout({ ...(global ? { everywhere: true } : {}), ...(back ? { returnTo: pathname + search } : {}) })
}

type OwnForm = Gone<"A form of the app's would have the password in its JavaScript. Use signInWithRedirect: the login is a page of Cognito's.">
/** Call `signInWithRedirect`: the login is a page of Cognito. */
export const signIn: OwnForm = gone
/** Cognito's page asks for the second factor or the new password. */
export const confirmSignIn: OwnForm = gone
/** There is no sign-up in the page after which a login could follow. */
export const autoSignIn: OwnForm = gone

type SignUpPage = Gone<'Sign-up is a page of Cognito: call signUp() of createAuth().'>
/** Call `signUp()` of `createAuth()`. */
export const signUp: SignUpPage = gone
/** Cognito's page asks for the code. */
export const confirmSignUp: SignUpPage = gone
/** Cognito's page sends it. */
export const resendSignUpCode: SignUpPage = gone

type PasswordPage = Gone<'A new password is set on a page of Cognito: call forgotPassword() of createAuth().'>
/** Call `forgotPassword()` of `createAuth()`. */
export const resetPassword: PasswordPage = gone
/** Cognito's page asks for the code and the new password. */
export const confirmResetPassword: PasswordPage = gone
/** Call `forgotPassword()` of `createAuth()`. */
export const updatePassword: PasswordPage = gone

type PasskeyPage = Gone<'Passkeys belong to the domain of Cognito: call addPasskey() of createAuth().'>
/** Call `addPasskey()` of `createAuth()`. */
export const associateWebAuthnCredential: PasskeyPage = gone
/** Cognito lists passkeys for an access token only, and the page has none. */
export const listWebAuthnCredentials: PasskeyPage = gone
/** Cognito deletes passkeys for an access token only, and the page has none. */
export const deleteWebAuthnCredential: PasskeyPage = gone

type WithToken = Gone<'Cognito demands the access token, which no script has. Let your API call Cognito with the token that the service adds.'>
/** Your API can call `UpdateUserAttributes`. */
export const updateUserAttributes: WithToken = gone
/** Your API can call `UpdateUserAttributes`. */
export const updateUserAttribute: WithToken = gone
/** Your API can call `DeleteUserAttributes`. */
export const deleteUserAttributes: WithToken = gone
/** Your API can call `VerifyUserAttribute`. */
export const confirmUserAttribute: WithToken = gone
/** Your API can call `GetUserAttributeVerificationCode`. */
export const sendUserAttributeVerificationCode: WithToken = gone
/** Your API can call `DeleteUser`. */
export const deleteUser: WithToken = gone
/** Your API can call `SetUserMFAPreference`. Cognito's page can set up MFA at a login. */
export const updateMFAPreference: WithToken = gone
/** Your API can call `GetUser`. */
export const fetchMFAPreference: WithToken = gone
/** Cognito's page sets up TOTP at a login. */
export const setUpTOTP: WithToken = gone
/** Cognito's page sets up TOTP at a login. */
export const verifyTOTPSetup: WithToken = gone
/** Devices are not remembered over the hosted UI. */
export const rememberDevice: WithToken = gone
/** Devices are not remembered over the hosted UI. */
export const forgetDevice: WithToken = gone
/** Devices are not remembered over the hosted UI. */
export const fetchDevices: WithToken = gone
/** There is no token to decode: `auth.session.user` has the claims. */
export const decodeJWT: WithToken = gone
