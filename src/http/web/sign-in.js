// Takes the one-time code from behind the # of the address, where no server or proxy sees it, into the form.
// It does not send the form: who presses the button decides to sign in here.
const code = location.hash.slice(1);
if (code !== "") {
  history.replaceState(null, "", location.pathname);
  document.getElementById("code").value = code;
  document.getElementById("sign-in").focus();
}
