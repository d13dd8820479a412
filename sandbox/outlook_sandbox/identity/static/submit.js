// Sends the answer of response_mode=form_post on to the app, as the person would by pressing Continue.
document.querySelector("form[data-submit-at-once]").submit();
