# Post a call to a lossd server from R, with the packages curl and jsonlite.
#
# Run: LOSSD_URL=http://127.0.0.1:8000 Rscript lossd.R

library(curl)
library(jsonlite)

url <- Sys.getenv("LOSSD_URL", "http://127.0.0.1:8000")

# Arguments are vectors, matrices (rows are samples) or arrays, settings are single values. I(x) keeps a vector
# of length one a list; digits = NA sends every digit of a number.
call_loss <- function(loss, arguments, ...) {
  body <- c(lapply(arguments, I), lapply(list(...), unbox))
  handle <- new_handle(postfields = toJSON(body, digits = NA))
  handle_setheaders(handle, "Content-Type" = "application/json")
  response <- curl_fetch_memory(paste0(url, "/v1/losses/", loss), handle)
  answer <- fromJSON(rawToChar(response$content))
  if (response$status_code != 200) {
    stop(loss, ": ", response$status_code, ": ", answer$detail, call. = FALSE)
  }
  answer
}

answer <- call_loss("huber", list(input = c(1, 2, 5, 2), target = c(1.5, 2, 2, 4)), delta = 1, gradient = TRUE)
cat("huber loss", answer$loss$mean, "\n")
cat("huber gradient", answer$gradient$mean$input, "\n")

# Classes count from zero. The gradient comes back as the matrix that the logits were.
logits <- rbind(c(0, 0, 0, 0), c(log(3), 0, 0, 0))
answer <- call_loss("cross_entropy", list(input = logits, target = c(2L, 0L)), gradient = TRUE)
cat("cross_entropy loss", answer$loss$mean, "\n")
cat("cross_entropy gradient", t(answer$gradient$mean$input), "\n")
