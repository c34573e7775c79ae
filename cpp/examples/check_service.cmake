# Runs the service on REQUESTS: every request is answered by one JSON object a line, the
# deletions add up, and what is refused says why.
execute_process(COMMAND ${PROGRAM} INPUT_FILE ${REQUESTS} OUTPUT_VARIABLE output
                COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "\n$" "" output "${output}")
string(REPLACE ";" "," output "${output}")  # a list of lines
string(REPLACE "\n" ";" answers "${output}")

function(expect line key wanted)
  list(GET answers ${line} answer)
  string(JSON got GET "${answer}" ${key})
  if(NOT got MATCHES "${wanted}")
    message(SEND_ERROR "answer ${line}: ${key}: expected ${wanted}, got ${got}")
  endif()
endfunction()

list(LENGTH answers count)
if(NOT count EQUAL 7)
  message(SEND_ERROR "expected 7 answers, got ${count}")
endif()
expect(0 retained "^50$")
expect(1 retained "^48$")
expect(1 parameter_error_bound "e-1[0-9]$")
expect(2 error "sample 3 is forgotten already")
expect(3 error "expected numbers")
expect(4 error "number of features: expected 120, got 2")
expect(5 error "got 'erase'")
expect(6 forgotten "^5$")
expect(6 interpolates "^ON$|^true$")
