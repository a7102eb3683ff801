// Shows what was typed into a field for a password.
for (const button of document.querySelectorAll('[data-show]')) {
  const field = document.getElementById(button.dataset.show)
  button.addEventListener('click', () => {
    const shown = field.type === 'password'
    field.type = shown ? 'text' : 'password'
    button.textContent = shown ? 'Hide' : 'Show'
    button.setAttribute('aria-label', `${button.textContent} the password`)
    field.focus()
  })
}

// Lets the browser create a passkey, and sends its id with the form.
const form = document.getElementById('passkey')
form?.addEventListener('submit', async (event) => {
  event.preventDefault()
  const message = form.querySelector('.error')
  const button = form.querySelector('button')
  message.hidden = true
  button.disabled = true
  try {
    const name = form.dataset.user
    const credential = await navigator.credentials.create({
      publicKey: {
        rp: { name: 'Local stack' },
        user: { id: new TextEncoder().encode(name).slice(0, 64), name, displayName: name },
        challenge: crypto.getRandomValues(new Uint8Array(32)),
        pubKeyCredParams: [{ type: 'public-key', alg: -7 }, { type: 'public-key', alg: -257 }],
        authenticatorSelection: { residentKey: 'required', userVerification: 'preferred' },
      },
    })
    form.elements.credential.value = credential.id
    form.submit()
  } catch (error) {
    message.textContent =
      error.name === 'NotAllowedError' ? 'No passkey was added. Try again, or go back.' : `This browser adds no passkey here: ${error.message}`
    message.hidden = false
    button.disabled = false
  }
})
